"""Packets that hold a picture no other picture refers to: nobody misses it, unless it was asked for itself.

H.264 (ITU-T H.264, 7.4.1): a picture whose NAL units have `nal_ref_idc` 0 is never referred to.
HEVC (ITU-T H.265, 7.4.2.2): NAL unit types 0, 2, ... 14 are sub-layer non-reference pictures, which pictures of a
higher temporal layer may still refer to; with one temporal layer there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext

# How many NAL units to look at; a picture of more slices passes for one that others refer to.
MAX_NAL_UNITS = 64


def disposable_test(codec: VideoCodecContext) -> Callable[[Packet[Any]], bool]:
    """How to tell this stream's disposable packets; for a stream that doesn't say, none is."""
    header = codec.extradata or b""
    if codec.name == "h264" and len(header) > 4 and header[0] == 1:  # avcC: ISO/IEC 14496-15, 5.3.3.1
        return lambda packet: _is_disposable(packet, header[4] % 4 + 1, _h264_picture)
    if codec.name == "hevc" and len(header) > 21 and header[0] == 1 and header[21] >> 3 & 7 == 1:  # hvcC: 8.3.3.1
        return lambda packet: _is_disposable(packet, header[21] % 4 + 1, _hevc_picture)
    return lambda packet: False


def _is_disposable(packet: Packet[Any], length_size: int, picture: Callable[[int], bool | None]) -> bool:
    data = memoryview(packet)
    start, found = 0, False
    for _ in range(MAX_NAL_UNITS):
        first = start + length_size
        if first >= len(data):
            return found
        referred_to = picture(data[first])
        if referred_to:
            return False
        found = found or referred_to is not None
        start = first + int.from_bytes(data[start:first], "big")
    return False


def _h264_picture(header: int) -> bool | None:
    """Whether others may refer to the picture that a NAL unit is a part of; None for a unit that isn't of a picture."""
    return header & 0x60 != 0 if 1 <= header & 0x1F <= 5 else None


def _hevc_picture(header: int) -> bool | None:
    kind = header >> 1 & 0x3F
    return None if kind > 31 else kind > 14 or kind % 2 == 1
