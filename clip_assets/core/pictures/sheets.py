"""Contact sheets: thumbnails of a video's frames in rows, with words under each."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps

from clip_assets.core.errors import VideoDamagedError
from clip_assets.core.picture import MAX_PICTURE_BYTES
from clip_assets.core.video.frames import DEFAULT_TIMEOUT_SECONDS, OnDamage, decode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clip_assets.core.records import VideoProbe

MAX_THUMBNAILS = 24

_THUMBNAIL = (160, 160)
_COLUMNS = 6
_GAP = 8
_LINE = 17
_FONT_SIZE = 13
_PAPER, _INK, _EMPTY = "#202124", "#f1f3f4", "#3c4043"
_QUALITIES = (85, 70, 55, 40, 25, 10)


def thumbnails(
    video: VideoProbe,
    indices: NDArray[np.int64],
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    side: int = _THUMBNAIL[0],
) -> dict[int, Image.Image]:
    """Small pictures of these frames, upright, by frame index; of a damaged video those that decode.

    Args:
        video: The video.
        indices: int64, ascending without repeats.
        timeout_seconds: The longest that one read may take.
        side: Pixels of a picture's longer side, at most.

    Raises:
        VideoError: The video isn't there any more, or reading takes too long.
    """
    made = {}
    on_damage: OnDamage = "keep" if video.damage else "fail"  # the faster way, which ends at the first damage
    with (
        suppress(VideoDamagedError),
        decode(video, indices, on_damage=on_damage, timeout_seconds=timeout_seconds) as frames,
    ):
        for frame in frames:
            made[frame.index] = _small(Image.fromarray(frame.rgb), video.sample_aspect_ratio, side)
    return made


def _small(picture: Image.Image, pixel_aspect: Fraction, side: int) -> Image.Image:
    """A picture made to fit into a square of that many pixels, its own pixels square."""
    width, height = float(picture.width * pixel_aspect), picture.height
    scale = min(1.0, side / width, side / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)


def enlarged(picture: Image.Image) -> Image.Image:
    """A small picture, as large as a contact sheet's."""
    return ImageOps.contain(picture, _THUMBNAIL, Image.Resampling.BICUBIC)


def contact_sheet(cells: Sequence[tuple[Image.Image | None, Sequence[str]]]) -> bytes:
    """A JPEG of at most `MAX_PICTURE_BYTES`: pictures in reading order, each with lines of words under it.

    Args:
        cells: At least one; where there is no picture, a blank of its size says so.
    """
    width = _THUMBNAIL[0]
    height = max((picture.height for picture, _ in cells if picture), default=width)
    lines = max(len(words) for _, words in cells)
    columns = min(len(cells), _COLUMNS)
    rows = -(-len(cells) // columns)
    step = (width + _GAP, height + lines * _LINE + _GAP)
    sheet = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for place, (picture, words) in enumerate(cells):
        row, column = divmod(place, columns)
        left, top = _GAP + column * step[0], _GAP + row * step[1]
        if picture is None:
            draw.rectangle((left, top, left + width - 1, top + height - 1), fill=_EMPTY)
            draw.text((left + width / 2, top + height / 2), "does not decode", _INK, font, anchor="mm")
        else:
            sheet.paste(picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2))
        for line, text in enumerate(words):
            fitting = _fitting(text, font, width)
            draw.text((left + width / 2, top + height + line * _LINE + _LINE / 2), fitting, _INK, font, anchor="mm")
    return _jpeg(sheet)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of the text's beginning as is no wider than that."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def _jpeg(picture: Image.Image) -> bytes:
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_PICTURE_BYTES:
            break
    return buffer.getvalue()
