"""The Python face of a library of results: `open_library`, to ask and to read.

What belongs here puts questions together and gives answers to people's code. How moments are found is `core.search`'.
"""
