"""The small pictures that are kept beside features: each shows its own frame, and the best of them is found."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clip_assets.core.decoding import PipelineOptions, VideoJob
from clip_assets.core.matching import match_texts
from clip_assets.core.model import load_model
from clip_assets.core.pictures import MAX_PICTURE_BYTES
from clip_assets.core.pictures.kept import KEPT_FRAMES, kept_frames, kept_sheet, thumbnail
from clip_assets.core.pictures.results import best_frames
from clip_assets.core.pipeline import Extracted, extract_features
from clip_assets.core.records import TextMatch
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe
from clip_assets.demo import demo_clips

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


def in_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture.astype(int) - colour).max(axis=-1) < 45).sum())


def test_the_best_frame_of_each_sentence_of_the_demo_is_the_one_that_shows_it(tmp_path: Path) -> None:
    (shapes,) = [clip for clip in demo_clips() if clip.name == "shapes.mp4"]
    model = load_model("demo", weights_folder=tmp_path)
    job = VideoJob("shapes", shapes, sample(probe(shapes), Sampling()))
    (result,) = extract_features([job], [model], PipelineOptions(thumbnails=12))
    assert isinstance(result, Extracted)
    texts = ("a red circle", "a blue square", "a green triangle")
    features = result.features
    match = match_texts(features.clip, model.encode_texts(texts), model.logit_scale, texts, features.timestamps_ms)
    sheet = kept_sheet(result.thumbnails)
    assert sheet is not None
    kept = kept_frames(sheet)
    picture = best_frames(kept, match, features.indices)
    assert picture.alt.startswith("Contact sheet: the best frame, among 12 of the 60 encoded frames, of each of the 3")
    assert picture.shown
    shown = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"))
    order = [texts[place] for place in np.argsort(-match.probabilities.mean(axis=0))]
    colours = dict(zip(texts, (RED, BLUE, GREEN), strict=True))
    for third, text in zip(np.array_split(shown, 3, axis=1), order, strict=True):
        seen = {other: in_colour(third, colour) for other, colour in colours.items()}
        assert seen[text] > 1000
        assert max(count for other, count in seen.items() if other != text) < 100
    for place, text in enumerate(texts):
        best = max(kept, key=match.probabilities[:, place].__getitem__)
        time = f"{match.timestamps_ms[best] / 1000:.2f} s"
        assert f"{text} ({match.probabilities[best, place]:.1%} at {time})" in picture.alt


def test_the_best_is_chosen_among_the_frames_that_were_kept() -> None:
    indices = np.array([3, 3, 4, 7, 9])
    strong = np.array([0.2, 0.2, 0.9, 0.5, 0.6])
    match = TextMatch(("a", "b"), np.stack([strong, 1 - strong], axis=1), np.zeros((5, 2)), np.arange(5) * 1000.0)
    kept = {index: Image.fromarray(plain(index, 64)) for index in (3, 7, 9)}
    picture = best_frames(kept, match, indices)
    assert "among 3 of the 4 encoded frames" in picture.alt
    assert "a (60.0% at 4.00 s)" in picture.alt
    assert "b (80.0% at 0.00 s)" in picture.alt
    shown = np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"))
    left, right = np.array_split(shown, 2, axis=1)  # the stronger sentence comes first
    assert in_colour(left, tuple(colour_of(3).tolist())) > 20_000
    assert in_colour(right, tuple(colour_of(9).tolist())) > 20_000
    assert len(picture.data) <= MAX_PICTURE_BYTES


def test_nothing_is_said_of_kept_frames_where_all_were_kept() -> None:
    match = TextMatch(("a",), np.ones((2, 1)), np.zeros((2, 1)), np.arange(2) * 1000.0)
    kept = {index: Image.fromarray(plain(index, 64)) for index in (0, 1)}
    assert best_frames(kept, match, np.array([0, 1])).alt.startswith("Contact sheet: the best frame of each of the 1 ")
