"""Whether a packet is one picture: it may be a single field, several pictures, or none that is ever shown.

H.264 (ITU-T H.264, 7.3.2.1.1 and 7.3.3): a slice whose `field_pic_flag` is set belongs to one field.
MPEG-4 part 2 (ISO/IEC 14496-2, 6.2.3 and 6.2.5): where `vop_coded` is 0 the picture before stays; DivX puts two into
one packet, and an empty one later on.
VP9 (bitstream specification, 6.2): a frame whose `show_frame` is 0 is for reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from clip_assets.core.video.nal import units_after_start_codes, units_by_length

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext

# Of H.264: those that say how colours are sampled (7.3.2.1.1).
HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)

SLICES = (1, 2, 5)
SEQUENCE_PARAMETERS = 7

# The first bytes of a slice: its header's first fields need no more.
SLICE_HEAD = 24

VOP = b"\0\0\1\xb6"

IsOnePicture = Callable[["Packet[Any]"], bool]


def one_picture_test(codec: VideoCodecContext) -> IsOnePicture | None:
    """How to tell whether a packet is one picture; None where packets of this kind always are, or can't be told."""
    if codec.name == "h264":
        return H264Pictures(codec.extradata or b"")
    if codec.name == "mpeg4":
        return Mpeg4Pictures(codec.extradata or b"")
    return _is_shown_vp9 if codec.name == "vp9" else None


class Bits:
    """Bits of a byte string, the highest first; zeros beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next bits as an unsigned number."""
        self._left -= count
        shifted = self._value >> self._left if self._left >= 0 else self._value << -self._left
        return shifted & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """The number that comes next in Exp-Golomb code (ITU-T H.264, 9.1), of 31 bits at most."""
        zeros = 0
        while zeros < 32 and not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def skip_exp_golomb(self, count: int) -> None:
        """Read past numbers in Exp-Golomb code."""
        for _ in range(count):
            self.exp_golomb()


def _payload(unit: bytes) -> Bits:
    """What a NAL unit holds behind its first byte, without the bytes that keep start codes from appearing."""
    return Bits(unit[1:].replace(b"\0\0\3", b"\0\0"))


class H264Pictures:
    """Tells fields from frames in H.264.

    Args:
        header: The codec's header; key frames may bring other parameters.
    """

    def __init__(self, header: bytes) -> None:
        in_avcc = len(header) > 8 and header[0] == 1
        self._length_size = header[4] % 4 + 1 if in_avcc else 0
        self._parameters = SequenceParameters(frames_only=True)
        self._take_parameters([header[8:]] if in_avcc else units_after_start_codes(header))

    def __call__(self, packet: Packet[Any]) -> bool:
        """Whether the packet is a frame or both its fields."""
        if self._parameters.frames_only and not packet.is_keyframe:
            return True
        data = bytes(packet)
        split = (
            partial(units_by_length, length_size=self._length_size) if self._length_size else units_after_start_codes
        )
        if packet.is_keyframe:
            self._take_parameters(split(data))
        if self._parameters.frames_only:
            return True
        fields = {self._field(unit) for unit in split(data) if unit and unit[0] & 0x1F in SLICES}
        return "frame" in fields or fields == {"top", "bottom"}

    def _take_parameters(self, units: Iterable[bytes]) -> None:
        for unit in units:
            if unit and unit[0] & 0x1F == SEQUENCE_PARAMETERS:
                self._parameters = SequenceParameters.of(_payload(unit))

    def _field(self, unit: bytes) -> str:
        bits = _payload(unit[:SLICE_HEAD])
        bits.skip_exp_golomb(3)
        bits.take(2 * self._parameters.separate_planes + self._parameters.frame_number_bits)
        if not bits.take(1):
            return "frame"
        return "bottom" if bits.take(1) else "top"


@dataclass(frozen=True)
class SequenceParameters:
    """Of an H.264 stream, what its slices are read with.

    Attributes:
        frames_only: Whether no picture is a field.
        frame_number_bits: Bits of `frame_num` in a slice's header.
        separate_planes: Whether each colour plane is coded by itself.
    """

    frames_only: bool
    frame_number_bits: int = 4
    separate_planes: bool = False

    @classmethod
    def of(cls, bits: Bits) -> SequenceParameters:
        """Read a NAL unit of sequence parameters (7.3.2.1.1)."""
        profile = bits.take(8)
        bits.take(16)  # constraints, level
        bits.exp_golomb()
        separate = _separate_planes(bits) if profile in HIGH_PROFILES else False
        frame_number_bits = bits.exp_golomb() + 4
        order = bits.exp_golomb()
        if order == 0:
            bits.exp_golomb()
        elif order == 1:
            bits.take(1)
            bits.skip_exp_golomb(2)
            bits.skip_exp_golomb(bits.exp_golomb() % 256)
        bits.exp_golomb()
        bits.take(1)
        bits.skip_exp_golomb(2)
        return cls(bool(bits.take(1)), frame_number_bits, separate)


def _separate_planes(bits: Bits) -> bool:
    """Read past what only the high profiles have: colour format, bit depths, scaling matrices."""
    colours = bits.exp_golomb()
    separate = colours == 3 and bool(bits.take(1))
    bits.skip_exp_golomb(2)
    bits.take(1)
    if bits.take(1):
        for place in range(12 if colours == 3 else 8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if place < 6 else 64)
    return separate


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.exp_golomb()
            following = (last + (code + 1 >> 1 if code % 2 else -(code >> 1))) % 256
        last = following or last


class Mpeg4Pictures:
    """Tells pictures that are coded from those that aren't, in MPEG-4 part 2.

    Args:
        header: The codec's header; packets may bring it as well.
    """

    def __init__(self, header: bytes) -> None:
        self._time_bits = _bits_of_time(header)

    def __call__(self, packet: Packet[Any]) -> bool:
        """Whether the packet is one picture that is coded; true where no header has come so far."""
        data = bytes(packet)
        first = data.find(VOP)
        if first < 0 or data.find(VOP, first + 4) >= 0:
            return False
        self._time_bits = _bits_of_time(data[:first]) or self._time_bits
        if not self._time_bits:
            return True
        bits = Bits(data[first + 4 : first + 36])
        bits.take(2)
        seconds = 0
        while seconds < 64 and bits.take(1):
            seconds += 1
        bits.take(1 + self._time_bits + 1)
        return bool(bits.take(1))


def _bits_of_time(header: bytes) -> int:
    """Bits of a picture's time within its second; 0 if the header isn't there."""
    start = next((place for place in _places(header, b"\0\0\1") if 0x20 <= header[place + 3] <= 0x2F), None)
    if start is None:
        return 0
    bits = Bits(header[start + 4 : start + 68])
    bits.take(1 + 8)
    version = 1
    if bits.take(1):
        version = bits.take(4)
        bits.take(3)
    if bits.take(4) == 15:
        bits.take(16)
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            bits.take(79)
    if bits.take(2) == 3 and version != 1:
        bits.take(4)
    bits.take(1)
    return max(1, (bits.take(16) - 1).bit_length())


def _places(data: bytes, what: bytes) -> list[int]:
    places = []
    place = data.find(what)
    while 0 <= place < len(data) - len(what):
        places.append(place)
        place = data.find(what, place + 1)
    return places


def _is_shown_vp9(packet: Packet[Any]) -> bool:
    """Whether a packet of VP9 is shown; several frames in one always end with one that is."""
    data = memoryview(packet)
    if len(data) < 2 or data[-1] & 0xE0 == 0xC0:
        return True
    bits = Bits(bytes(data[:2]))
    bits.take(2)
    profile = bits.take(1) + 2 * bits.take(1)
    if profile == 3:
        bits.take(1)
    if bits.take(1):
        return True  # a frame of before is shown
    bits.take(1)
    return bool(bits.take(1))
