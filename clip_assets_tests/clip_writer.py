"""Writing small videos by a recipe, with PyAV; each frame shows its own number, which can be read back."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (96, 64)
FRAMES = 30
RATE = Fraction(25)
COLUMNS, ROWS = 4, 2
DARK, BRIGHT = 50, 200

Picture = NDArray[np.uint8]

# Name of an orientation -> the display matrix that makes it upright, how the picture is stored, and the degrees
# clockwise that the matrix turns it by, mirrored or not.
ORIENTATIONS: dict[str, tuple[tuple[int, int, int, int], Callable[[Picture], Picture], int]] = {
    "upright": ((1, 0, 0, 1), lambda picture: picture, 0),
    "90": ((0, 1, -1, 0), lambda picture: np.rot90(picture, 1), 90),
    "180": ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2), 180),
    "270": ((0, -1, 1, 0), lambda picture: np.rot90(picture, 3), 270),
    "mirrored": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1], 180),
    "upside down": ((1, 0, 0, -1), lambda picture: picture[::-1], 0),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1), 90),
    "mirrored 270": ((0, -1, -1, 0), lambda picture: np.rot90(picture, 2).swapaxes(0, 1), 270),
}


def draw(number: int, width: int, height: int) -> Picture:
    """RGB uint8 (height, width, 3): the number's eight bits as bright and dark blocks, tinted by the number."""
    bits = (number >> np.arange(COLUMNS * ROWS)) & 1
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    grey = np.where(bits.reshape(ROWS, COLUMNS), BRIGHT, DARK)[rows][:, columns]
    tint = np.array([number * 7 % 50, 25, 50 - number * 7 % 50])
    return (grey[..., None] + tint).astype(np.uint8)


COLOURS = np.array([[[200, 40, 40], [40, 180, 60], [40, 60, 200], [220, 200, 40]]], dtype=np.uint8)


def draw_colours(_: int, width: int, height: int) -> Picture:
    """RGB uint8 (height, width, 3): `COLOURS` as columns."""
    columns = np.arange(width) * COLOURS.shape[1] // width
    return np.ascontiguousarray(np.broadcast_to(COLOURS[:, columns], (height, width, 3)))


def read_number(rgb: Picture) -> int:
    """The number that a picture made by `draw` shows."""
    height, width, _ = rgb.shape
    rows = (2 * np.arange(ROWS) + 1) * height // (2 * ROWS)
    columns = (2 * np.arange(COLUMNS) + 1) * width // (2 * COLUMNS)
    margin = 3
    levels = [
        rgb[row - margin : row + margin, column - margin : column + margin].mean() for row in rows for column in columns
    ]
    return int(sum(1 << i for i, level in enumerate(levels) if level > (DARK + BRIGHT) / 2 + 25))


@dataclass(frozen=True)
class Clip:
    """What was written into a file.

    Attributes:
        path: The file.
        numbers: The number each frame on screen shows, in presentation order.
        times: Seconds, exact, when each of them comes on screen, the first at 0.
        end: Seconds, exact, when the last one leaves the screen.
        fps: Average rate.
        width: Pixels, upright.
        height: Pixels, upright.
        rotation: Degrees clockwise by which a player turns the stored picture.
    """

    path: Path
    numbers: list[int]
    times: list[Fraction]
    end: Fraction
    fps: Fraction
    width: int
    height: int
    rotation: int = 0


@dataclass(frozen=True)
class Recipe:
    """How to write a clip; the defaults give a plain H.264 file of constant rate.

    Attributes:
        codec: Encoder's name.
        options: Encoder's options.
        pix_fmt: Pixel format.
        size: (width, height), upright.
        rate: Frames per second.
        ticks: Presentation times in ticks of `time_base`; None means constant rate from 0.
        time_base: Seconds of one tick; None means 1 / rate.
        frames: Number of frames.
        first_number: What the first frame shows.
        orientation: How the picture is stored, one of `ORIENTATIONS` (mp4 only).
        colorspace: Matrix that the stream is tagged with, as FFmpeg numbers it; 2 means unspecified.
        full_range: Whether the stream is stored and tagged as full range.
        draw: What the frames show, by number, width and height.
        container_options: The muxer's options.
        title: The file's title.
    """

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = SIZE
    rate: Fraction = RATE
    ticks: list[int] | None = None
    time_base: Fraction | None = None
    frames: int = FRAMES
    first_number: int = 0
    orientation: str = "upright"
    colorspace: int = 2
    full_range: bool = False
    draw: Callable[[int, int, int], Picture] = draw
    container_options: dict[str, str] = field(default_factory=dict)
    title: str = ""


def _stored(number: int, recipe: Recipe) -> Picture:
    _, store, _ = ORIENTATIONS[recipe.orientation]
    return np.ascontiguousarray(store(recipe.draw(number, *recipe.size)))


def encode(recipe: Recipe, output: av.container.OutputContainer) -> tuple[av.VideoStream, list[av.Packet]]:
    stream = output.add_stream(recipe.codec, rate=recipe.rate, options=dict(recipe.options))
    turned = ORIENTATIONS[recipe.orientation][2] % 180 == 90
    stream.width, stream.height = recipe.size[::-1] if turned else recipe.size
    stream.pix_fmt = recipe.pix_fmt
    if recipe.colorspace != 2:
        stream.codec_context.colorspace = recipe.colorspace
    stream.codec_context.color_range = 2 if recipe.full_range else 1
    time_base = recipe.time_base or 1 / recipe.rate
    stream.codec_context.time_base = time_base
    ticks = recipe.ticks or list(range(recipe.frames))
    packets: list[av.Packet] = []
    for number, tick in enumerate(ticks, recipe.first_number):
        frame = av.VideoFrame.from_ndarray(_stored(number, recipe), format="rgb24").reformat(
            format=recipe.pix_fmt,
            dst_colorspace=recipe.colorspace if recipe.colorspace != 2 else None,
            dst_color_range=2 if recipe.full_range else 1,
        )
        frame.pts, frame.time_base = tick, time_base
        packets += stream.encode(frame)
    return stream, packets + stream.encode(None)


def told(path: Path, recipe: Recipe) -> Clip:
    time_base = recipe.time_base or 1 / recipe.rate
    ticks = recipe.ticks or list(range(recipe.frames))
    times = [(tick - ticks[0]) * time_base for tick in ticks]
    step = 1 / recipe.rate
    return Clip(
        path,
        numbers=list(range(recipe.first_number, recipe.first_number + len(ticks))),
        times=times,
        end=times[-1] + step,
        fps=recipe.rate,
        width=recipe.size[0],
        height=recipe.size[1],
        rotation=ORIENTATIONS[recipe.orientation][2],
    )


def write(path: Path, recipe: Recipe | None = None) -> Clip:
    """Write one clip as the recipe says; the container is chosen by the path's suffix."""
    recipe = recipe or Recipe()
    with av.open(str(path), "w", container_options=recipe.container_options) as output:
        output.metadata.update({"title": recipe.title} if recipe.title else {})
        _, packets = encode(recipe, output)
        output.mux(packets)
    if recipe.orientation != "upright":
        _patch_matrix(path, ORIENTATIONS[recipe.orientation][0])
    return told(path, recipe)


def _patch_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 0x10000 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
