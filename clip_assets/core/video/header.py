"""What a container says of how its pictures are to be shown, and PyAV doesn't tell: the crop, and Dolby Vision.

FFmpeg reads both, and writes them into the header of a Matroska file, whatever container they come from: such a header
is made in memory, with no packet, and read.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clip_assets.core.records import Crop

if TYPE_CHECKING:
    from av.video.stream import VideoStream

# Matroska's names of elements (RFC 9559, section 5.1), as numbers with their length's bits.
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_ADDITION, _ADDITION_TYPE, _ADDITION_DATA = 0x41E4, 0x41E7, 0x41ED
_PARENTS = {_SEGMENT, _TRACKS, _TRACK, _VIDEO, _ADDITION}
_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA

_DOLBY_VISION = (b"dvcC", b"dvvC", b"dvwC")


@dataclass(frozen=True)
class StreamHeader:
    """How a container wants a stream to be shown.

    Attributes:
        crop: What is left out at the stored picture's sides.
        dolby_vision_profile: Of the stream's Dolby Vision configuration; None without one.
    """

    crop: Crop
    dolby_vision_profile: int | None


def read_header(stream: VideoStream) -> StreamHeader:
    """What the container says of a stream; nothing for codecs that a Matroska file can't hold."""
    elements = list(_leaves(_matroska_header(stream)))
    numbers = {name: int.from_bytes(data, "big") for name, data in elements}
    sides = (numbers.get(name, 0) for name in (_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM))
    profile = None
    kind = b""
    for name, data in elements:
        if name == _ADDITION_TYPE:
            kind = data.rjust(4, b"\0")
        elif name == _ADDITION_DATA and kind in _DOLBY_VISION and len(data) > 2:
            profile = data[2] >> 1  # 7 bits after two bytes of version (Dolby Vision Streams Within ISOBMFF, 3.2)
    return StreamHeader(Crop(*sides), profile)


def _matroska_header(stream: VideoStream) -> bytes:
    import av

    written = io.BytesIO()
    try:
        with av.open(written, "w", format="matroska") as output:
            output.add_stream_from_template(stream, opaque=True)
            output.start_encoding()
    except (ValueError, av.FFmpegError):
        return b""
    return written.getvalue()


def _leaves(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Name and content of each element that isn't made of others, as deep as this module looks (RFC 8794)."""
    at = 0
    while at < len(data):
        name_end = at + _width(data[at])
        size_end = name_end + _width(data[name_end])
        name = int.from_bytes(data[at:name_end], "big")
        size = int.from_bytes(data[name_end:size_end], "big") - (1 << 7 * (size_end - name_end))
        at = size_end + size
        if name in _PARENTS:
            yield from _leaves(data[size_end:at])
        else:
            yield name, data[size_end:at]


def _width(first: int) -> int:
    """Bytes of a number whose first byte this is."""
    return 9 - first.bit_length()
