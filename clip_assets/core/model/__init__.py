"""CLIP: its weights, its network, what goes in and on which device it computes.

What belongs here knows the model. Where frames come from, and what becomes of features, it doesn't know.
"""
