"""Frames to model input: a family's official transform, and the same picture several times faster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from fractions import Fraction

    import torch
    from numpy.typing import NDArray
    from PIL.Image import Image

Own = Callable[["Image"], "Image"]

Levels = tuple[float, float, float]
"""Of red, green and blue, in units of the full range."""


@dataclass(frozen=True)
class Preprocess:
    """Resized (antialiased) to a square of ``resolution``, to [0, 1], less a mean and by a deviation.

    ``reference`` is PIL's resize, equal to the transforms of torchvision bit for bit. ``fast`` is torch's on uint8,
    within one grey level of it; two in fewer than one value of a thousand, in pictures smaller than about twice R.
    On GPUs it is done in float32 (`core.pipeline.staging`).

    Whoever changes a pixel that comes out changes the name that data versions know it by, see `Family.preprocessing`.

    They part on pictures more than twice as tall as wide, which Pillow resizes vertically first from version 13 on:
    ``fast`` goes horizontally first whatever the picture, as Pillow did when CLIP was trained.

    Attributes:
        resolution: Pixels, R: side of the square that the model takes.
        mean: Of the model's training images.
        std: Their deviation.
        interpolation: The resize's filter.
        fit: Whether the short side becomes R and the middle is kept, or both sides become R.
        method: Which resize.
        own: What gives a picture its size where it is none of these, as padding: a family's own steps, on a PIL picture
            with square pixels. Whatever computes, it is done on the CPU.
    """

    resolution: int
    mean: Levels
    std: Levels
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fit: Literal["crop", "squash"] = "crop"
    method: Literal["fast", "reference"] = "fast"
    own: Own | None = None

    def resized_size(self, height: int, width: int, pixel_aspect: float | Fraction = 1) -> tuple[int, int]:
        """Height and width, in pixels, that a picture is resized to before its middle is kept."""
        if self.fit == "squash":
            return self.resolution, self.resolution
        return resized_size(height, width, self.resolution, pixel_aspect)

    def resize_crop(self, frames: NDArray[np.uint8], pixel_aspect: float | Fraction = 1) -> torch.Tensor:
        """Frames, resized and cropped: uint8 (..., 3, R, R), contiguous.

        Pixels that aren't square become so on the way: one resize aims at the size of the picture as it is shown.

        Args:
            frames: One or more of a size, uint8 (..., H, W, 3), RGB. Quickest if contiguous and writeable; any other
                array is copied first.
            pixel_aspect: How many times as wide as high a pixel is shown.
        """
        import torch

        if frames.dtype != np.uint8 or frames.ndim < 3 or frames.shape[-1] != 3 or frames.size == 0:
            raise ValueError(f"A frame is uint8 (height, width, 3); got {frames.dtype} {frames.shape}.")
        flat = frames.reshape(-1, *frames.shape[-3:])
        if self.own is not None:
            sized = np.stack([_sized_by(self.own, frame, pixel_aspect) for frame in flat])
            return torch.from_numpy(sized.reshape(*frames.shape[:-3], *sized.shape[1:]))
        size = self.resized_size(flat.shape[1], flat.shape[2], pixel_aspect)
        resized = self._resize_torch(flat, size) if self.method == "fast" else self._resize_pil(flat, size)
        rows, columns = (centred(length, self.resolution) for length in resized.shape[-2:])
        cropped = np.ascontiguousarray(resized[..., rows, columns])
        return torch.from_numpy(cropped.reshape(*frames.shape[:-3], *cropped.shape[1:]))

    def normalise(
        self, batch: torch.Tensor, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> torch.Tensor:
        """Model input (B, 3, R, R) on ``device``, of ``dtype`` (float32 unless given), from uint8 (B, 3, R, R).

        The arithmetic is float32: with ``reference`` that of torchvision's ``ToTensor`` and ``Normalize``, bit for
        bit; with ``fast`` a multiplication and an addition, within 1e-6 of it.
        """
        import torch

        pixels = batch.to(device, non_blocking=True).to(torch.float32)
        if self.method == "reference":
            mean, std = _mean_and_std(self.mean, self.std, device)
            pixels.div_(255).sub_(mean).div_(std)
        else:
            scale, shift = _scale_and_shift(self.mean, self.std, device)
            pixels.mul_(scale).add_(shift)
        return pixels.to(dtype or torch.float32)

    def _resize_torch(self, frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """Frames (N, H, W, 3), resized to ``size``, height and width: (N, 3, height, width)."""
        import torch
        from torch.nn.functional import interpolate

        # As a channels_last view of (N, 3, H, W), the frames' own memory goes into the vectorised uint8 kernel. NumPy
        # makes the views: each of torch's operations lets another thread take Python over, and waits for it after.
        if not (frames.flags.c_contiguous and frames.flags.writeable):
            frames = frames.copy()
        pictures = torch.from_numpy(frames.transpose(0, 3, 1, 2))
        resized: NDArray[np.uint8] = interpolate(pictures, size=size, mode=self.interpolation, antialias=True).numpy()
        return resized

    def _resize_pil(self, frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """As `_resize_torch`."""
        from PIL import Image

        filtered_by = Image.Resampling[self.interpolation.upper()]
        resized = (Image.fromarray(frame).resize(size[::-1], filtered_by) for frame in frames)
        return np.stack([np.asarray(picture) for picture in resized]).transpose(0, 3, 1, 2)


def _sized_by(own: Own, frame: NDArray[np.uint8], pixel_aspect: float | Fraction) -> NDArray[np.uint8]:
    """A frame (H, W, 3), with square pixels and then by ``own``: (3, R, R)."""
    from PIL import Image

    picture = Image.fromarray(frame)
    if pixel_aspect != 1:
        picture = picture.resize((max(1, round(picture.width * pixel_aspect)), picture.height))
    return np.ascontiguousarray(np.asarray(own(picture)).transpose(2, 0, 1))


@functools.cache  # since an upload to a GPU waits for what it computes
def _mean_and_std(mean: Levels, std: Levels, device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    return torch.tensor(mean, device=device).view(3, 1, 1), torch.tensor(std, device=device).view(3, 1, 1)


@functools.cache
def _scale_and_shift(mean: Levels, std: Levels, device: torch.device | str) -> tuple[torch.Tensor, torch.Tensor]:
    """What a grey level is multiplied by, and what is added then, to normalise it."""
    means, deviations = _mean_and_std(mean, std, device)
    return 1 / (255 * deviations), -means / deviations


def resized_size(height: int, width: int, short_side: int, pixel_aspect: float | Fraction = 1) -> tuple[int, int]:
    """Height and width, in pixels, of a picture whose short side becomes ``short_side``; the long one rounds down.

    The rule of torchvision's ``Resize``, for the picture with square pixels.
    """
    width = max(1, round(width * pixel_aspect))
    if width <= height:
        return int(short_side * height / width), short_side
    return short_side, int(short_side * width / height)


def centred(length: int, size: int) -> slice:
    """The middle ``size`` of ``length``, as torchvision's ``CenterCrop`` places it: halves round to even."""
    start = round((length - size) / 2)
    return slice(start, start + size)
