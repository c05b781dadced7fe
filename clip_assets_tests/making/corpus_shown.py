"""Small videos of which a player shows another picture than the pixels of the first video stream."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from clip_assets.core.records import Crop
from clip_assets_tests.making.corpus import (
    MJPEG,
    ORIENTATIONS,
    X264,
    Clip,
    Picture,
    Recipe,
    draw,
    draw_colours,
    encode,
    patch_matrix,
    told,
    write,
)

SMALL = (48, 32)
INNER = (96, 64)


def several_streams(path: Path, *streams: tuple[Recipe, Disposition], shown: int) -> Clip:
    """A file of several video streams; the clip tells of the one that is to be shown."""
    options = {"default_mode": "passthrough"} if path.suffix == ".mkv" else {}
    with av.open(str(path), "w", container_options=options) as output:
        packets: list[av.Packet] = []
        for recipe, disposition in streams:
            stream, encoded = encode(recipe, output)
            stream.disposition = disposition
            packets += encoded
        output.mux(packets)
    return told(path, streams[shown][0])


def preview_first(path: Path) -> Clip:
    """A preview of one picture, larger than the video, which comes after it."""
    preview = replace(MJPEG, size=(192, 128), frames=1, first_number=99)
    default = Disposition.default
    return several_streams(path, (preview, default), (Recipe(options=X264), default), shown=1)


def second_default(path: Path) -> Clip:
    """Of two videos the second, smaller one is marked as default."""
    large = Recipe(options=X264, size=(192, 128), first_number=100)
    return several_streams(path, (large, Disposition(0)), (Recipe(options=X264), Disposition.default), shown=1)


def second_larger(path: Path) -> Clip:
    """Of two videos, none marked as default, the second is the larger one."""
    small = Recipe(options=X264, size=SMALL, first_number=100)
    return several_streams(path, (small, Disposition(0)), (Recipe(options=X264), Disposition(0)), shown=1)


def equal_streams(path: Path) -> Clip:
    """Two videos with nothing to choose between them."""
    other = Recipe(options=X264, first_number=100)
    return several_streams(path, (Recipe(options=X264), Disposition(0)), (other, Disposition(0)), shown=0)


def anamorphic(path: Path, aspect: Fraction, *, orientation: str = "upright") -> Clip:
    """Pixels that a player shows ``aspect`` times as wide as high, before it turns the picture."""
    options = {**X264, "aspect": f"{aspect.numerator}/{aspect.denominator}"}
    return write(path, Recipe(options=options, orientation=orientation))


def anamorphic_by_container(path: Path, aspect: Fraction, codec_aspect: Fraction) -> Clip:
    """Pixels of which the container states another shape than the codec; players go by the container."""
    recipe = Recipe(options={**X264, "aspect": f"{codec_aspect.numerator}/{codec_aspect.denominator}"})
    with av.open(str(path), "w") as output:
        stream, packets = encode(recipe, output)
        stream.codec_context.sample_aspect_ratio = aspect
        output.mux(packets)
    return told(path, recipe)


# BT.709's primaries in BT.2020's, linear light (ITU-R BT.2087).
TO_BT_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def pq_signal(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """PQ for linear RGB (..., 3) in candelas per square metre (SMPTE ST 2084)."""
    root = (light / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32)


def hlg_signal(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """HLG for linear RGB (..., 3) in candelas per square metre on a display of 1,000 (ITU-R BT.2100)."""
    luminance = (light @ np.array([0.2627, 0.6780, 0.0593]))[..., None] / 1000
    scene = light / 1000 * np.maximum(luminance, 1e-9) ** (-0.2 / 1.2)
    a = 0.17883277
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - 1 + 4 * a, 1e-9)) + 0.55991073
    )


HDR = {"pq": (16, pq_signal), "hlg": (18, hlg_signal)}
"""Transfer function -> how H.273 numbers it, and how it encodes light."""

GREYS = 1000 * np.arange(1, 17) / 16
"""Candelas per square metre."""


def hdr_light() -> NDArray[np.float64]:
    """Linear RGB of BT.709, (64, 96, 3) in candelas per square metre: `COLOURS` above, `GREYS` below, as columns."""
    colours = np.broadcast_to(203 * (draw_colours(0, 96, 32) / 255) ** 2.4, (32, 96, 3))
    return np.concatenate([colours, np.broadcast_to(GREYS.repeat(6)[:, None], (32, 96, 3))])


def hdr(
    path: Path, transfer: str, *, pix_fmt: str = "yuv420p10le", full_range: bool = False, orientation: str = "upright"
) -> Clip:
    """`hdr_light` in BT.2020 by one of `HDR`."""
    number, encoded_signal = HDR[transfer]
    signal = np.clip(encoded_signal(hdr_light() @ TO_BT_2020.T), 0, 1)
    _, store, degrees = ORIENTATIONS[orientation]
    picture = np.ascontiguousarray(store(np.rint(65535 * signal).astype(np.uint16)))
    frame = av.VideoFrame.from_ndarray(picture, format="rgb48le").reformat(
        format=pix_fmt, dst_colorspace=Colorspace.BT2020, dst_color_range=2 if full_range else 1
    )
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={**X264, "crf": "1"})
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pix_fmt
        context = stream.codec_context
        context.colorspace, context.color_primaries, context.color_trc = 9, 9, number
        context.color_range = 2 if full_range else 1
        output.mux(stream.encode(frame) + stream.encode(None))
    if orientation != "upright":
        patch_matrix(path, ORIENTATIONS[orientation][0])
    return replace(told(path, Recipe(frames=1)), rotation=degrees)


CROP = Crop(left=12, top=8, right=4, bottom=16)


def cropped(path: Path) -> Clip:
    """A number framed with noise, which the container (mp4, mov, mkv) wants to be left out."""

    def draw_framed(number: int, width: int, height: int) -> Picture:
        picture = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        picture[CROP.top : height - CROP.bottom, CROP.left : width - CROP.right] = draw(number, *INNER)
        return picture

    width, height = INNER[0] + CROP.left + CROP.right, INNER[1] + CROP.top + CROP.bottom
    recipe = Recipe(options={**X264, "crf": "10"}, size=(width, height), draw=draw_framed)
    boxed = path if path.suffix != ".mkv" else path.with_suffix(".mp4")
    clip = write(boxed, recipe)
    aperture = (INNER[0], 1, INNER[1], 1, CROP.left - CROP.right, 2, CROP.top - CROP.bottom, 2)
    _add_to_sample_entry(boxed, b"clap", struct.pack(">8i", *aperture))
    if boxed != path:
        _remux(boxed, path)
    return replace(clip, path=path, width=INNER[0], height=INNER[1])


def dolby_vision(path: Path, profile: int) -> Clip:
    """An mp4 file with a Dolby Vision configuration (Dolby Vision Streams Within ISOBMFF, 3.2)."""
    clip = write(path)
    _add_to_sample_entry(path, b"dvcC", bytes([1, 0, profile << 1, 0b01101]) + bytes(20))
    return clip


def _add_to_sample_entry(path: Path, name: bytes, content: bytes) -> None:
    """Add a box to the sample entry of an mp4 file whose index comes last."""
    data = bytearray(path.read_bytes())
    places, at = [], 0
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = data.index(parent, at)
        places.append(at - 4)
    end = places[-1] + struct.unpack_from(">I", data, places[-1])[0]
    box = struct.pack(">I", 8 + len(content)) + name + content
    data[end:end] = box
    for place in places:
        struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + len(box))
    path.write_bytes(data)


def _remux(source: Path, path: Path) -> None:
    with av.open(str(source)) as container, av.open(str(path), "w") as output:
        (stream,) = container.streams.video
        copy = output.add_stream_from_template(stream, opaque=True)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copy
                output.mux(packet)
