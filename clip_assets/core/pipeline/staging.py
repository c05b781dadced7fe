"""Decoded frames, a few at a time, resized and cropped on the device that encodes them."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from clip_assets.core.model.preprocess import centred

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from numpy.typing import NDArray
    from torch import Tensor

    from clip_assets.core.model.preprocess import Preprocess


# Small pictures are resized together: what a call takes by itself is a third of a 320x240 picture's time. The copy
# that puts them together takes more than it saves from 1280x720 on.
_BYTES_TOGETHER = 2**20

_RESIZED_TOGETHER = 8


class Staging(Protocol):
    """Where a decoding thread puts frames, and takes them from resized and cropped."""

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take a frame, uint8 (H, W, 3), RGB."""

    def take(self) -> Tensor:
        """The frames added since the last call, at least one: uint8 (N, 3, R, R), ready for any stream or thread."""


def make_staging(preprocess: Preprocess, device: str, pixel_aspect: float | Fraction = 1) -> Staging:
    """For frames that ``device`` is to resize, whose pixels are shown ``pixel_aspect`` times as wide as high."""
    if device.startswith("cuda") and preprocess.own is None:
        return GpuStaging(preprocess, device, pixel_aspect)
    return CpuStaging(preprocess, pixel_aspect)


class CpuStaging:
    """Frames are resized as they come, while the processor's cache has them; small ones a few together."""

    def __init__(self, preprocess: Preprocess, pixel_aspect: float | Fraction = 1) -> None:
        self._preprocess = preprocess
        self._pixel_aspect = pixel_aspect
        self._frames: list[NDArray[np.uint8]] = []
        self._pixels: list[Tensor] = []

    def add(self, frame: NDArray[np.uint8]) -> None:
        """See `Staging`."""
        if self._frames and frame.shape != self._frames[0].shape:
            self._resize()
        self._frames.append(frame)
        if len(self._frames) * frame.nbytes >= _BYTES_TOGETHER:
            self._resize()

    def take(self) -> Tensor:
        """See `Staging`."""
        import torch

        if self._frames:
            self._resize()
        pixels, self._pixels = self._pixels, []
        return torch.cat(pixels)

    def _resize(self) -> None:
        frames, self._frames = self._frames, []
        together = np.stack(frames) if len(frames) > 1 else frames[0][np.newaxis]
        self._pixels.append(self._preprocess.resize_crop(together, self._pixel_aspect))


class GpuStaging:
    """Frames go to the GPU together, from pinned memory and on a stream of their own, and are resized there.

    The arithmetic is `Preprocess`'s "fast" method in float32, since CUDA has no uint8 kernel: within one grey level.
    """

    def __init__(self, preprocess: Preprocess, device: str, pixel_aspect: float | Fraction = 1) -> None:
        import torch

        self._preprocess = preprocess
        self._pixel_aspect = pixel_aspect
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device) if self._device.type == "cuda" else None
        self._frames: list[NDArray[np.uint8]] = []

    def add(self, frame: NDArray[np.uint8]) -> None:
        """See `Staging`."""
        self._frames.append(frame)

    def take(self) -> Tensor:
        """See `Staging`."""
        import torch

        frames, self._frames = self._frames, []
        with torch.cuda.stream(self._stream):
            pixels = torch.cat([self._resize_crop(group) for group in _groups(frames)])
        if self._stream is not None:
            self._stream.synchronize()
        return pixels

    def _resize_crop(self, frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Frames of one size."""
        import torch
        from torch.nn.functional import interpolate

        height, width, _ = frames[0].shape
        size = self._preprocess.resized_size(height, width, self._pixel_aspect)
        inner_rows, inner_columns = (centred(length, self._preprocess.resolution) for length in size)
        rows, columns = source_of(inner_rows, size[0], height), source_of(inner_columns, size[1], width)
        needed = [frame[rows, columns] for frame in frames]
        pinned = torch.empty((len(frames), *needed[0].shape), dtype=torch.uint8, pin_memory=self._stream is not None)
        np.stack(needed, out=pinned.numpy())
        pictures = torch.zeros((len(frames), 3, height, width), device=self._device)
        pictures[:, :, rows, columns] = pinned.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        # Rows first and by themselves, for pictures of bytes can't keep what goes beyond black and white in between.
        mode = self._preprocess.interpolation
        for lengths in ((height, size[1]), size):
            pictures = interpolate(pictures, size=lengths, mode=mode, antialias=True).round_().clamp_(0, 255)
        return pictures[:, :, inner_rows, inner_columns].to(torch.uint8)


def _groups(frames: Sequence[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    """Frames of one size that follow each other, a few at a time: as floats they take much of a GPU's memory."""
    for _, same_size in itertools.groupby(frames, key=np.shape):
        while group := list(itertools.islice(same_size, _RESIZED_TOGETHER)):
            yield group


def source_of(part: slice, resized: int, length: int) -> slice:
    """The pixels, of ``length``, that a ``part`` depends on when they are resized to ``resized`` of them.

    Bicubic, antialiased: two pixels to each side, as wide as the coarser grid's. Bilinear needs fewer.
    """
    scale = length / resized
    reach = 2 * max(scale, 1.0) + 1
    start, stop = math.floor(part.start * scale - reach), math.ceil(part.stop * scale + reach)
    return slice(max(0, start), min(length, stop))
