"""Frames gathered and resized: the same pictures as `Preprocess` makes, wherever it happens."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from clip_assets.core.model.openai.transform import transform
from clip_assets.core.model.preprocess import centred, resized_size
from clip_assets.core.pipeline.staging import CpuStaging, GpuStaging, Staging, source_of
from clip_assets_tests.making.photograph import photograph

device = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda:0", marks=pytest.mark.gpu)])

SIZES = [(240, 320), (320, 240), (1080, 1920), (64, 64), (48, 36), (100, 1000), (1001, 333)]


def assert_equal_to_preprocess(staging: Staging, frames: list[np.ndarray], levels: int) -> None:
    for frame in frames:
        staging.add(frame)
    taken = staging.take()
    expected = torch.stack([transform(64).resize_crop(frame) for frame in frames])
    assert (taken.dtype, taken.shape) == (torch.uint8, (len(frames), 3, 64, 64))
    assert (taken.cpu().int() - expected.int()).abs().max() <= levels


@pytest.mark.parametrize("size", [(90, 120), (240, 320), (720, 1280)])
def test_on_cpus_frames_are_resized_as_preprocess_does_and_taken_once(size: tuple[int, int]) -> None:
    staging = CpuStaging(transform(64))
    assert_equal_to_preprocess(staging, [photograph(*size, seed) for seed in range(7)], levels=0)
    assert_equal_to_preprocess(staging, [photograph(*size, 7)], levels=0)


@device
@pytest.mark.parametrize("size", SIZES)
def test_the_gpus_arithmetic_is_within_a_grey_level_of_the_cpus(device: str, size: tuple[int, int]) -> None:
    staging = GpuStaging(transform(64), device)
    assert_equal_to_preprocess(staging, [photograph(*size, seed) for seed in range(3)], levels=1)
    assert_equal_to_preprocess(staging, [photograph(*size, 3)], levels=1)


@device
def test_pixels_that_arent_square_become_so_alike_on_cpus_and_gpus(device: str) -> None:
    frames = [photograph(288, 216, seed) for seed in range(3)]
    expected = torch.stack([transform(64).resize_crop(frame, Fraction(16, 9)) for frame in frames])
    for staging, levels in (
        (CpuStaging(transform(64), Fraction(16, 9)), 0),
        (GpuStaging(transform(64), device, 16 / 9), 1),
    ):
        for frame in frames:
            staging.add(frame)
        assert (staging.take().cpu().int() - expected.int()).abs().max() <= levels


CHANGING = [photograph(*size, seed) for seed, size in enumerate([(90, 120)] * 9 + [(120, 90)] + [(90, 120)] * 2)]


def test_frames_whose_size_changes_midway_keep_their_order() -> None:
    assert_equal_to_preprocess(CpuStaging(transform(64)), CHANGING, levels=0)


@device
def test_frames_whose_size_changes_midway_keep_their_order_on_gpus(device: str) -> None:
    assert_equal_to_preprocess(GpuStaging(transform(64), device), CHANGING, levels=1)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_what_the_crop_does_not_depend_on_is_left_out_of_the_upload(height: int, width: int) -> None:
    frame = torch.from_numpy(photograph(height, width)).permute(2, 0, 1)[None].float()
    size = resized_size(height, width, 64)
    inner = [centred(length, 64) for length in size]
    rows, columns = (source_of(part, *lengths) for part, *lengths in zip(inner, size, (height, width), strict=True))
    cut = torch.full_like(frame, torch.nan)
    cut[:, :, rows, columns] = frame[:, :, rows, columns]
    whole, part = (
        interpolate(pixels, size=size, mode="bicubic", antialias=True)[:, :, inner[0], inner[1]]
        for pixels in (frame, cut)
    )
    assert torch.equal(whole, part)
    assert (rows.stop - rows.start) * (columns.stop - columns.start) <= 1.6 * min(height, width) ** 2 + 400
