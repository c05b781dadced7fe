"""Small pictures of encoded frames, kept beside their features: later steps show frames without opening the video."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.picture import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image
    from torch import Tensor


KEPT_FRAMES = 256
"""The most frames of a video of which a picture is kept."""

SHEET_NAME = "kept_frames.jpg"

_SIDE = 96  # Pixels; a multiple of 8, the side of JPEG's blocks, so that no tile runs into the next.
_COLUMNS = 16
_QUALITY = 75


def thumbnail(pixels: Tensor) -> NDArray[np.uint8]:
    """A small picture of a frame as the model sees it: uint8 (S, S, 3), RGB, S = min(R, 96).

    Args:
        pixels: uint8 (3, R, R), the frame resized and cropped.
    """
    from torch.nn.functional import interpolate

    if pixels.shape[-1] > _SIDE:
        pixels = interpolate(pixels.unsqueeze(0), size=(_SIDE, _SIDE), mode="bilinear", antialias=True)[0]
    small: NDArray[np.uint8] = pixels.permute(1, 2, 0).contiguous().numpy()
    return small


def kept_sheet(thumbnails: Mapping[int, NDArray[np.uint8]]) -> Picture | None:
    """The thumbnails as tiles of one JPEG, in rows of 16, whose comment lists their frames; None without thumbnails.

    Args:
        thumbnails: uint8 (S, S, 3) by frame index, all of one size.
    """
    from PIL import Image

    if not thumbnails:
        return None
    side = len(next(iter(thumbnails.values())))
    rows = -(-len(thumbnails) // _COLUMNS)
    sheet = np.zeros((rows * side, min(len(thumbnails), _COLUMNS) * side, 3), np.uint8)
    for place, small in enumerate(thumbnails.values()):
        row, column = divmod(place, _COLUMNS)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = small
    buffer = io.BytesIO()
    comment = " ".join(map(str, thumbnails)).encode()
    Image.fromarray(sheet).save(buffer, "JPEG", quality=_QUALITY, subsampling="4:4:4", comment=comment)
    alt = f"Small pictures of {len(thumbnails)} encoded frames, in order, each cropped as the model sees it."
    return Picture(SHEET_NAME, buffer.getvalue(), alt, shown=False)


def kept_frames(sheet: Picture) -> dict[int, Image]:
    """The tiles of a sheet that `kept_sheet` made, by frame index."""
    from PIL import Image

    with Image.open(io.BytesIO(sheet.data)) as picture:
        indices = [int(word) for word in picture.info["comment"].split()]
        side = picture.width // min(len(indices), _COLUMNS)
        places = [divmod(place, _COLUMNS) for place in range(len(indices))]
        return {
            index: picture.crop((column * side, row * side, (column + 1) * side, (row + 1) * side))
            for index, (row, column) in zip(indices, places, strict=True)
        }
