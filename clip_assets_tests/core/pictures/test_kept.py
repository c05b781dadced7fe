"""The small pictures that are kept beside features: each shows its own frame, and the best of them is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clip_assets.core.pictures.kept import KEPT_FRAMES, kept_frames, kept_sheet, thumbnail

RED, BLUE, GREEN = (220, 30, 30), (40, 80, 220), (30, 160, 60)


def colour_of(index: int) -> np.ndarray:
    """A colour for each index below 512, at least 32 from any other in one channel."""
    return np.array([index % 8, index // 8 % 8, index // 64 % 8]) * 32 + 16


def plain(index: int, side: int) -> np.ndarray:
    return np.broadcast_to(colour_of(index), (side, side, 3)).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, KEPT_FRAMES])
@pytest.mark.parametrize("side", [96, 64])
def test_each_tile_comes_back_under_its_own_frame(count: int, side: int) -> None:
    indices = list(range(5, 5 + count))[::-1]
    sheet = kept_sheet({index: plain(index, side) for index in indices})
    assert sheet is not None
    assert not sheet.shown
    tiles = kept_frames(sheet)
    assert list(tiles) == indices
    for index, tile in tiles.items():
        assert tile.size == (side, side)
        np.testing.assert_allclose(np.asarray(tile).astype(int) - colour_of(index), 0, atol=6)


def test_frames_of_long_videos_keep_their_indices() -> None:
    indices = [10**7 + 1000 * place for place in range(KEPT_FRAMES)]
    sheet = kept_sheet(dict.fromkeys(indices, plain(0, 16)))
    assert sheet is not None
    assert list(kept_frames(sheet)) == indices


def test_without_thumbnails_there_is_no_sheet() -> None:
    assert kept_sheet({}) is None


@pytest.mark.parametrize(("resolution", "side"), [(336, 96), (224, 96), (96, 96), (64, 64)])
def test_a_thumbnail_is_the_same_picture_and_small(resolution: int, side: int) -> None:
    down, across = torch.meshgrid(*[torch.linspace(0, 255, resolution)] * 2, indexing="ij")
    pixels = torch.stack([across, down, torch.zeros_like(down)])
    small = thumbnail(pixels.to(torch.uint8))
    assert (small.dtype, small.shape) == (np.uint8, (side, side, 3))
    expected = np.linspace(0, 255, side)
    np.testing.assert_allclose(small[..., 0], np.broadcast_to(expected, (side, side)), atol=3)
    np.testing.assert_allclose(small[..., 1], np.broadcast_to(expected[:, None], (side, side)), atol=3)
    assert small[..., 2].max() == 0


def test_a_thumbnail_outlives_the_frame_that_it_was_made_of() -> None:
    pixels = torch.full((3, 64, 64), 100, dtype=torch.uint8)
    small = thumbnail(pixels)
    pixels.zero_()
    assert (small == 100).all()
