from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import clip
import numpy as np
import pytest
import torch
from PIL import Image

from clip_assets.core.model.openai.transform import transform
from clip_assets.core.model.preprocess import resized_size
from clip_assets.models import load_model
from clip_assets_tests.making.checkpoints import random_vit
from clip_assets_tests.making.photograph import photograph

SIZES = [
    (224, 224), (448, 448), (225, 224), (224, 225), (223, 223), (240, 320), (360, 480), (720, 1280), (1080, 1920),
    (1920, 1080), (1281, 719), (800, 1920), (57, 101), (101, 57), (30, 30), (64, 63), (3, 4), (2, 2), (1, 1), (1, 7),
    (250, 999), (331, 640),
]  # fmt: skip
TALL = [(7, 1), (999, 250), (2400, 1080)]
RESOLUTIONS = [224, 64]

size = pytest.mark.parametrize(("height", "width"), SIZES, ids=lambda pixels: str(pixels))
resolution = pytest.mark.parametrize("resolution", RESOLUTIONS)


def noise(height: int, width: int) -> np.ndarray:
    """The worst case: each value black or white."""
    return np.random.default_rng(height * width).integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255)


def official(frame: np.ndarray, resolution: int) -> torch.Tensor:
    return clip.clip._transform(resolution)(Image.fromarray(frame))


def horizontal_first(frame: np.ndarray, resolution: int) -> torch.Tensor:
    """The official picture before it becomes floats, by the two passes of every Pillow before 13."""
    height, width = resized_size(*frame.shape[:2], resolution)
    wide = Image.fromarray(frame).resize((width, frame.shape[0]), Image.Resampling.BICUBIC)
    resized = np.asarray(wide.resize((width, height), Image.Resampling.BICUBIC))
    top, left = round((height - resolution) / 2), round((width - resolution) / 2)
    return torch.from_numpy(resized[top : top + resolution, left : left + resolution].copy()).permute(2, 0, 1)


def grey_levels_apart(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a.int() - b.int()).abs()


@resolution
@pytest.mark.parametrize(("height", "width"), SIZES + TALL)
def test_reference_equals_clips_own_transform_bit_for_bit(height, width, resolution):
    preprocess = transform(resolution, "reference")
    for frame in (photograph(height, width), noise(height, width)):
        ours = preprocess.normalise(preprocess.resize_crop(frame)[None])[0]
        assert torch.equal(ours, official(frame, resolution))


@resolution
@pytest.mark.parametrize(("height", "width"), [pixels for pixels in SIZES if min(pixels) >= 240])
def test_fast_is_within_one_grey_level_of_the_reference_on_frames_of_videos(height, width, resolution):
    frame = photograph(height, width)
    fast = transform(resolution).resize_crop(frame)
    assert grey_levels_apart(fast, transform(resolution, "reference").resize_crop(frame)).max() <= 1


@resolution
@pytest.mark.parametrize("make", [photograph, noise])
@size
def test_fast_is_two_grey_levels_off_in_rare_values_at_most(height, width, make, resolution):
    frame = make(height, width)
    fast = transform(resolution).resize_crop(frame)
    apart = grey_levels_apart(fast, transform(resolution, "reference").resize_crop(frame))
    assert apart.max() <= 2
    assert (apart > 1).float().mean() < 1e-3


@resolution
@pytest.mark.parametrize(("height", "width"), TALL)
def test_fast_resizes_tall_pictures_as_pillow_did_before_13(height, width, resolution):
    frame = photograph(height, width)
    fast = transform(resolution).resize_crop(frame)
    assert grey_levels_apart(fast, horizontal_first(frame, resolution)).max() <= 1


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return load_model("custom", checkpoint=random_vit(folder / "vit.pth"), weights_folder=folder)


@pytest.mark.parametrize("make", [photograph, noise])
def test_features_of_fast_and_reference_have_cosine_above_0_9999(model, make):
    frames = [make(height, width) for height, width in SIZES]
    features = []
    for method in ("fast", "reference"):
        preprocess = replace(model.preprocess, method=method)
        batch = torch.stack([preprocess.resize_crop(frame) for frame in frames])
        features.append(model.encode_images(preprocess.normalise(batch)))
    assert torch.cosine_similarity(*features).min() >= 0.9999


@pytest.mark.parametrize("method", ["fast", "reference"])
@pytest.mark.parametrize(("height", "width"), [(50, 100), (224, 224), (100, 50)])
def test_result_is_contiguous_and_shares_no_memory_with_the_frame(method, height, width):
    frame = photograph(height, width)
    result = transform(224, method).resize_crop(frame)
    before = result.clone()
    frame[:] = 0
    assert (result.shape, result.dtype, result.is_contiguous()) == ((3, 224, 224), torch.uint8, True)
    assert torch.equal(result, before)


@pytest.mark.parametrize("method", ["fast", "reference"])
def test_frames_together_give_the_result_of_each_alone(method):
    preprocess = transform(64, method)
    frames = [photograph(90, 120, seed) for seed in range(3)]
    alone = torch.stack([preprocess.resize_crop(frame) for frame in frames])
    assert torch.equal(preprocess.resize_crop(np.stack(frames)), alone)


@pytest.mark.parametrize("method", ["fast", "reference"])
@pytest.mark.filterwarnings("error")
def test_frames_in_unusual_memory_give_the_same_result(method):
    preprocess = transform(64, method)
    frame = photograph(90, 120)
    expected = preprocess.resize_crop(frame)
    read_only = frame.copy()
    read_only.flags.writeable = False
    flipped_twice = frame[::-1, ::-1].copy()[::-1, ::-1]
    planar = np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0)
    for unusual in (read_only, flipped_twice, planar):
        assert torch.equal(preprocess.resize_crop(unusual), expected)


@pytest.mark.parametrize(
    "frame", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.uint8),
              np.zeros((0, 4, 3), np.uint8)],
    ids=["float", "four channels", "grey", "empty"],
)  # fmt: skip
def test_array_that_is_no_frame_is_refused(frame):
    with pytest.raises(ValueError, match="uint8"):
        transform(64).resize_crop(frame)


def test_normalise_casts_after_float32_arithmetic_and_keeps_the_batch():
    batch = torch.arange(256, dtype=torch.uint8).repeat(3, 1)[None, :, :, None]
    before = batch.clone()
    exact = transform(256).normalise(batch)
    assert torch.equal(transform(256).normalise(batch, dtype=torch.float16), exact.half())
    assert torch.equal(batch, before)
    assert exact[0, 0, 0].item() == pytest.approx(-0.48145466 / 0.26862954, abs=1e-6)
    assert exact[0, 2, 255].item() == pytest.approx((1 - 0.40821073) / 0.27577711, abs=1e-6)


def test_resized_long_side_rounds_down():
    assert resized_size(360, 480, 224) == (224, 298)
    assert resized_size(480, 360, 224) == (298, 224)
    assert resized_size(100, 100, 224) == (224, 224)
    assert resized_size(240, 180, 224, Fraction(16, 9)) == resized_size(240, 320, 224)
