"""What is stored as tables of other people's formats: rows of all videos in a few files.

What belongs here reads the store and writes files. Which videos are taken is `asking`'s to say, when it is
`orchestration`'s.
"""
