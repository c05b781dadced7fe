"""Videos, from the container to pixels: what a file says of itself, whether it is whole, and its frames.

What belongs here reads or judges a video file. Which frames are wanted is `sampling`; how many videos go at once,
`pipeline`.
"""

from clip_assets.core.video.frames import (
    DEFAULT_TIMEOUT_SECONDS,
    DecodedFrame,
    DecoderName,
    FrameStream,
    check_is_video,
    check_whole,
    decode,
    probe,
)

__all__ = [
    "DEFAULT_TIMEOUT_SECONDS",
    "DecodedFrame",
    "DecoderName",
    "FrameStream",
    "check_is_video",
    "check_whole",
    "decode",
    "probe",
]
