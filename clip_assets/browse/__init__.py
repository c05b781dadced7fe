"""The page to ask and to look: a library's videos in a browser, from what is stored and from the search alone.

What belongs here: pages, the pictures and videos on them, and who may see them. Not here: Dagster, what a moment is,
and how a question is answered. What Dagster knows of the videos comes from a function that is passed in.
"""
