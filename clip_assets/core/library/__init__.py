"""The library: where videos lie, which partition key names which, and what changed since the last look.

What belongs here looks at names, sizes, times and bytes of files. What is inside of a video is `video`'s.
"""
