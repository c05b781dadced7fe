"""Many videos at once: decoding, preprocessing and encoding, overlapped, within bounded memory.

What belongs here moves frames from `video` to `model`. It stores nothing and knows no asset.
"""
