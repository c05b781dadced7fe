"""The library: a source of videos (a folder is one), which partition key names which, and what changed since a look.

What belongs here looks at names, sizes, times and bytes of files. What is inside of a video is `video`'s.
"""
