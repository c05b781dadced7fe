"""H.264 pictures coded as two fields, a packet for each: no encoder at hand writes them, so this does, uncompressed.

ITU-T H.264, 7.3: sequence and picture parameters, and slices of I_PCM macroblocks, which hold samples as they are.
"""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from clip_assets_tests.making.corpus import FRAMES, SIZE, Clip, Recipe, draw, told

START_CODE = b"\0\0\0\1"
SEQUENCE, PICTURE, IDR, NON_IDR = 0x67, 0x68, 0x65, 0x61
MAIN_PROFILE, LEVEL = 77, 30
I_SLICE, I_PCM = 7, 25
GOP = 8
BLOCK = 16


class BitWriter:
    """Bits, the highest first, made into a NAL unit."""

    def __init__(self) -> None:
        self._bits: list[NDArray[np.uint8]] = []
        self._count = 0

    def put(self, value: int, count: int) -> None:
        self._append(np.array([value >> place & 1 for place in reversed(range(count))], dtype=np.uint8))

    def golomb(self, *values: int) -> None:
        for value in values:
            length = (value + 1).bit_length()
            self.put(value + 1, 2 * length - 1)

    def samples(self, *planes: NDArray[np.uint8]) -> None:
        self.put(0, -self._count % 8)
        for plane in planes:
            self._append(np.unpackbits(plane.reshape(-1)))

    def unit(self, header: int) -> bytes:
        self.put(1, 1)
        self.put(0, -self._count % 8)
        body = np.packbits(np.concatenate(self._bits)).tobytes()
        for third in range(4):  # no start code may appear within a unit
            body = body.replace(bytes([0, 0, third]), bytes([0, 0, 3, third]))
        return START_CODE + bytes([header]) + body

    def _append(self, bits: NDArray[np.uint8]) -> None:
        self._bits.append(bits)
        self._count += len(bits)


def _parameters(width: int, height: int) -> bytes:
    sequence = BitWriter()
    sequence.put(MAIN_PROFILE << 16 | LEVEL, 24)
    sequence.golomb(0, 0, 0, 4, 1)  # id, 4 bits of frame number, order by 8 bits, one reference
    sequence.put(0, 1)
    sequence.golomb(width // BLOCK - 1, height // (2 * BLOCK) - 1)
    sequence.put(0b00100, 5)  # fields, not within a frame; no crop, no more
    picture = BitWriter()
    picture.golomb(0, 0)
    picture.put(0, 2)
    picture.golomb(0, 0, 0)
    picture.put(0, 3)
    picture.golomb(0, 0, 0)
    picture.put(0b100, 3)
    return sequence.unit(SEQUENCE) + picture.unit(PICTURE)


def _field(luma: NDArray[np.uint8], number: int, *, bottom: bool) -> bytes:
    place = number % GOP
    is_idr = place == 0 and not bottom
    slices = BitWriter()
    slices.golomb(0, I_SLICE, 0)
    slices.put(place, 4)
    slices.put(0b10 | bottom, 2)
    if is_idr:
        slices.golomb(0)
    slices.put(2 * place + bottom, 8)
    slices.put(0, 2 if is_idr else 1)
    slices.golomb(0, 1)
    grey = np.full((2, BLOCK // 2, BLOCK // 2), 128, dtype=np.uint8)
    for row in range(0, luma.shape[0], BLOCK):
        for column in range(0, luma.shape[1], BLOCK):
            slices.golomb(I_PCM)
            slices.samples(luma[row : row + BLOCK, column : column + BLOCK], grey)
    return slices.unit(IDR if is_idr else NON_IDR)


def fields(path: Path, *, together: tuple[int, ...] = ()) -> Clip:
    """25 pictures a second, coded as 50 fields, a packet for each.

    Args:
        path: The file.
        together: Pictures of which both fields are in one packet.
    """
    packets = _packets(together)
    # A muxer takes the codec's parameters from a stream, and PyAV makes no such stream but by reading one.
    bare = BytesIO(b"".join(data for _, _, data in packets))
    with av.open(bare, format="h264") as template, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(template.streams.video[0])
        for tick, duration, data in packets:
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 50)
            packet.pts = packet.dts = tick
            packet.duration = duration
            packet.is_keyframe = tick % (2 * GOP) == 0
            output.mux(packet)
    return told(path, Recipe())


def _packets(together: tuple[int, ...]) -> list[tuple[int, int, bytes]]:
    """Time and duration in 1/50 s, and content, of each packet."""
    width, height = SIZE
    packets = []
    for number in range(FRAMES):
        luma = (draw(number, width, height).mean(axis=2) * 219 / 255 + 16).astype(np.uint8)
        top, bottom = (_field(luma[first::2], number, bottom=bool(first)) for first in (0, 1))
        if number % GOP == 0:
            top = _parameters(width, height) + top
        if number in together:
            packets.append((2 * number, 2, top + bottom))
        else:
            packets += [(2 * number, 1, top), (2 * number + 1, 1, bottom)]
    return packets
