"""CLIP: its families, what goes in and what comes out, and on which device it computes.

What belongs here knows the model; what only one family needs has a room of its own, such as `openai`. Where frames come
from, and what becomes of features, it doesn't know.
"""
