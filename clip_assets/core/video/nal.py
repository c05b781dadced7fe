"""NAL units, of which packets of H.264 and HEVC are made: whether a packet is whole, and whether it can be left out.

H.264 (ITU-T H.264, 7.4.1): a picture whose NAL units have `nal_ref_idc` 0 is never referred to.
HEVC (ITU-T H.265, 7.4.2.2): NAL unit types 0, 2, ... 14 are sub-layer non-reference pictures, which pictures of a
higher temporal layer may still refer to; with one temporal layer there are none.
How the codec's header tells the size of the units' lengths: ISO/IEC 14496-15, 5.3.3.1 (avcC) and 8.3.3.1 (hvcC).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext


@dataclass(frozen=True)
class NalFormat:
    """How a stream's packets are made of NAL units.

    Attributes:
        codec: The codec's short name.
        length_size: Bytes of the length before each unit; 0 where units aren't told apart by lengths.
        temporal_layers: Number of temporal layers; 0 where the header doesn't say.
    """

    codec: str
    length_size: int
    temporal_layers: int

    @classmethod
    def of(cls, codec: VideoCodecContext) -> NalFormat:
        """Read the codec's header."""
        header = codec.extradata or b""
        if codec.name == "h264" and len(header) > 4 and header[0] == 1:
            return cls(codec.name, header[4] % 4 + 1, 0)
        if codec.name == "hevc" and len(header) > 21 and header[0] == 1:
            return cls(codec.name, header[21] % 4 + 1, header[21] >> 3 & 7)
        return cls(codec.name, 0, 0)

    def is_whole(self, packet: Packet[Any]) -> bool:
        """Whether no unit reaches beyond the packet's end; true where that can't be told."""
        return not self.length_size or self._headers(packet) is not None or self._has_start_codes(packet)

    def is_disposable(self, packet: Packet[Any]) -> bool:
        """Whether no other picture refers to the packet's; false where that can't be told."""
        headers = self._headers(packet) if self.length_size else None
        if not headers:
            return False
        if self.codec == "h264":
            slices = [header for header in headers if 1 <= header & 0x1F <= 5]
            return bool(slices) and all(header & 0x60 == 0 for header in slices)
        kinds = [header >> 1 & 0x3F for header in headers]
        pictures = [kind for kind in kinds if kind <= 31]
        return self.temporal_layers == 1 and bool(pictures) and all(kind <= 14 and kind % 2 == 0 for kind in pictures)

    def _has_start_codes(self, packet: Packet[Any]) -> bool:
        """Whether the units have start codes all the same, as some cameras write them; FFmpeg tells it by the same."""
        data = memoryview(packet)
        known = self.codec == "h264" and self.length_size == 4 and data[:4] == b"\0\0\0\1"
        return known and int.from_bytes(data[5:9], "big") > len(data)

    def _headers(self, packet: Packet[Any]) -> list[int] | None:
        """The first byte of each unit; None if one reaches beyond the packet's end."""
        data = memoryview(packet)
        headers = []
        start = 0
        while start + self.length_size < len(data):
            first = start + self.length_size
            headers.append(data[first])
            start = first + int.from_bytes(data[start:first], "big")
        return headers if start <= len(data) else None


def units_by_length(data: bytes, length_size: int) -> Iterator[bytes]:
    """NAL units that come after their lengths."""
    start = 0
    while start + length_size < len(data):
        first = start + length_size
        start = first + int.from_bytes(data[start:first], "big")
        yield data[first:start]


def units_after_start_codes(data: bytes) -> Iterator[bytes]:
    """NAL units that come after start codes, with the zeros that may follow them."""
    first = data.find(b"\0\0\1") + 3
    while first > 2:
        following = data.find(b"\0\0\1", first)
        yield data[first : following if following >= 0 else len(data)]
        first = following + 3
