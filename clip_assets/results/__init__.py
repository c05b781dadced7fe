"""What is stored of a video, in types and in words, and how it compares with what the settings ask for.

What belongs here reads manifests. It computes no result, and knows neither Dagster nor how a page looks.
"""
