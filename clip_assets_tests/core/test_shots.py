from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_assets.core.model.family import SAME_SHOT_COSINE
from clip_assets.core.records import ClipFeatures, Shots
from clip_assets.core.shots import MAX_SHOT_ROWS, cuts, find_shots, row_edges, unit_rows
from clip_assets.core.soundness import shot_findings
from clip_assets.core.store import Store


def features(clip: np.ndarray, step_ms: float = 500.0) -> ClipFeatures:
    rows = len(clip)
    times = np.arange(rows) * step_ms
    return ClipFeatures(clip.astype(np.float32), times, times, np.arange(rows), 25.0, "custom", "0" * 64)


def scenes(*lengths: int, noise: float = 0.02, width: int = 32, seed: int = 1) -> np.ndarray:
    """Features of scenes of those lengths: each has its own direction, with a little noise on it."""
    random = np.random.default_rng(seed)
    rows = np.repeat(np.eye(width)[: len(lengths)], lengths, axis=0)
    return 10 * (rows + noise * random.standard_normal(rows.shape) / np.sqrt(width))


def wrong(shots: Shots, of: ClipFeatures) -> list[str]:
    return [finding.what for finding in shot_findings(shots, of) if not finding.holds]


def test_a_scene_is_a_shot_that_lasts_from_midway_to_midway() -> None:
    shots = find_shots(features(scenes(4, 6, 3)), duration_ms=6500.0)
    np.testing.assert_array_equal(shots.first_rows, [0, 4, 10])
    np.testing.assert_array_equal(shots.last_rows, [3, 9, 12])
    np.testing.assert_array_equal(shots.from_ms, [0.0, 1750.0, 4750.0])
    np.testing.assert_array_equal(shots.to_ms, [1750.0, 4750.0, 6500.0])


def test_means_are_of_norm_one_and_the_typical_row_is_most_like_its_shot() -> None:
    clip = scenes(5, 5, noise=0.3)
    clip[7] = clip[5:10].mean(axis=0) * 4
    shots = find_shots(features(clip), 5000.0)
    unit = clip / np.linalg.norm(clip, axis=1, keepdims=True)
    expected = [unit[:5].mean(axis=0), unit[5:].mean(axis=0)]
    expected = [mean / np.linalg.norm(mean) for mean in expected]
    np.testing.assert_allclose(shots.means, expected, atol=1e-3)
    assert shots.typical_rows[1] == 7
    video = unit.mean(axis=0)
    np.testing.assert_allclose(shots.video, video / np.linalg.norm(video), atol=1e-3)
    assert (shots.means.dtype, shots.video.dtype) == (np.float16, np.float16)


def test_a_still_picture_opens_a_shot_every_16_rows_and_has_no_cut() -> None:
    shots = find_shots(features(np.ones((40, 8))), 20_000.0)
    np.testing.assert_array_equal(shots.last_rows - shots.first_rows + 1, [MAX_SHOT_ROWS, MAX_SHOT_ROWS, 8])
    assert len(cuts(np.ones((40, 8)), 12)) == 0


@pytest.mark.parametrize(("cosine", "shots"), [(SAME_SHOT_COSINE + 0.001, 1), (SAME_SHOT_COSINE - 0.001, 2)])
def test_the_limit_is_a_cosine_of_09_to_the_running_mean(cosine: float, shots: int) -> None:
    clip = np.array([[1.0, 0.0], [1.0, 0.0], [cosine, np.sqrt(1 - cosine**2)]])
    assert len(find_shots(features(clip), 1500.0).first_rows) == shots


def test_cuts_are_where_scenes_meet_even_after_a_full_shot() -> None:
    np.testing.assert_array_equal(cuts(scenes(16, 30, 10), 12), [16, 46])


def test_the_deepest_cuts_are_kept_in_order_of_time() -> None:
    angles = np.radians(np.repeat([0.0, 30.0, 110.0, 160.0], 5))
    np.testing.assert_array_equal(cuts(np.stack([np.cos(angles), np.sin(angles)], axis=1), 2), [10, 15])


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 1.0, 3.0]))
@settings(max_examples=40)
def test_whatever_shots_are_found_are_found_sound(rows: int, seed: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    clip = np.cumsum(random.standard_normal((rows, 8)), axis=0) + noise * random.standard_normal((rows, 8))
    of = features(clip)
    assert wrong(find_shots(of, rows * 500.0), of) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"first_rows": np.array([0, 5])}, "rows in shots"),
        ({"last_rows": np.array([3, 8])}, "rows in shots"),
        ({"means": np.eye(2, 32, dtype=np.float16)[::-1]}, "a shot's mean: furthest from that of its rows"),
        ({"video": np.eye(32, dtype=np.float16)[3]}, "the video's vector: furthest from that of its rows"),
        ({"typical_rows": np.array([4, 5])}, "typical rows"),
        ({"from_ms": np.array([0.0, 1800.0])}, "shots that begin where the one before ends"),
        ({"to_ms": np.array([1750.0, 1750.0])}, "shot times (ms)"),
        ({"to_ms": np.array([1750.0])}, "shots"),
    ],
)
def test_shots_that_break_a_rule_are_named(changed: dict[str, np.ndarray], what: str) -> None:
    of = features(scenes(4, 6))
    shots = find_shots(of, 5000.0)
    assert wrong(shots, of) == []
    assert what in wrong(replace(shots, **changed), of)


def test_rows_without_a_direction_make_no_numbers_that_are_not_finite() -> None:
    clip = scenes(4, 4)
    clip[5] = np.nan
    clip[6] = 0
    shots = find_shots(features(clip), 4000.0)
    assert np.isfinite(shots.means).all()
    assert shots.last_rows[-1] == 7


def test_no_rows_are_no_shots() -> None:
    shots = find_shots(features(np.empty((0, 8))), 1000.0)
    assert (shots.means.shape, shots.first_rows.shape, shots.video.shape) == ((0, 8), (0,), (8,))


def test_a_row_lasts_to_the_last_sample_where_the_video_is_said_to_end_before() -> None:
    np.testing.assert_array_equal(row_edges(np.array([0.0, 40.0]), 30.0), [0.0, 20.0, 40.0])


def test_unit_rows_have_norm_one_whatever_their_scale() -> None:
    assert np.linalg.norm(unit_rows([[1e-30, 1e-30], [3e4, 4e4]]), axis=1) == pytest.approx([1, 1])


def test_shots_come_back_from_the_store_as_they_were(tmp_path) -> None:
    shots = find_shots(features(scenes(4, 6)), 5000.0)
    store = Store(tmp_path)
    store.write("shots", "a.mp4", shots, data_version="0", parameters={})
    back = store.read("shots", "a.mp4", Shots)
    for name, value in vars(shots).items():
        np.testing.assert_array_equal(getattr(back, name), value)


def test_300_rows_take_at_most_15_ms() -> None:
    of = features(scenes(*[30] * 10, width=512))
    find_shots(of, 1.0)
    began = time.process_time()
    for _ in range(5):
        find_shots(of, 1.0)
    assert (time.process_time() - began) / 5 < 0.015
