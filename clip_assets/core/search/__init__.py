"""Ask a library of stored features: a vector in, moments out, whatever the library's size and whatever changes in it.

What belongs here: the index of shots, its upkeep, the two-stage search, the rule that makes moments of rows, what a
query is made of. Not here: how answers are shown, and where a sentence's or a picture's features come from.
"""
