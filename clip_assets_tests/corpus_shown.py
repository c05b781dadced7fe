"""Small videos of which a player shows another picture than the pixels of the first video stream."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from clip_assets_tests.corpus import MJPEG, X264, Clip, Recipe, encode, told, write

SMALL = (48, 32)


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
