from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_assets.core.pictures.analysis import (
    changes,
    frame_spacing,
    group_means,
    group_starts,
    self_similarity,
    sparkline,
    spread,
    strongest,
)
from clip_assets.core.records import TextMatch


@given(st.integers(1, 5000), st.integers(1, 200))
def test_groups_cover_all_items_evenly(count: int, limit: int) -> None:
    starts = group_starts(count, limit)
    sizes = np.diff(np.append(starts, count))
    assert len(starts) == min(count, limit)
    assert starts[0] == 0
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_allclose(group_means(np.arange(count, dtype=float), starts) @ sizes, count * (count - 1) / 2)


@given(st.integers(1, 5000), st.integers(2, 40))
def test_a_spread_has_the_first_and_the_last_and_no_more_than_the_limit(count: int, limit: int) -> None:
    chosen = spread(count, limit)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert len(chosen) == min(count, limit)


def test_similarity_is_the_cosine_of_every_frame_with_every_other() -> None:
    clip = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
    unit = clip / np.linalg.norm(clip, axis=1, keepdims=True)
    matrix, starts = self_similarity(clip, limit=128)
    np.testing.assert_allclose(matrix, unit @ unit.T, atol=1e-6)
    np.testing.assert_array_equal(starts, np.arange(20))


def test_similarity_of_groups_is_the_mean_of_their_frames_cosines() -> None:
    clip = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
    full, _ = self_similarity(clip, limit=30)
    matrix, starts = self_similarity(clip, limit=10)
    np.testing.assert_array_equal(starts, np.arange(0, 30, 3))
    np.testing.assert_allclose(matrix, full.reshape(10, 3, 10, 3).mean(axis=(1, 3)), atol=1e-6)


def test_change_is_one_minus_the_cosine_with_the_frame_before() -> None:
    np.testing.assert_allclose(changes(np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 4.0]])), [0.0, 1.0])
    assert changes(np.ones((1, 8))).shape == (0,)


def test_the_strongest_sentences_are_those_with_the_highest_mean() -> None:
    probabilities = np.array([[0.1, 0.2, 0.7], [0.1, 0.6, 0.3]])
    match = TextMatch(("a", "b", "c"), probabilities, probabilities, np.arange(2.0))
    assert strongest(match, 2) == [2, 1]
    assert strongest(match, 9) == [2, 1, 0]


@pytest.mark.parametrize(
    ("values", "width", "expected"),
    [
        ([0.0, 0.5, 1.0], 10, "▁▅█"),
        ([0.0, 0.0, 1.0, 1.0], 2, "▁█"),
        ([], 10, ""),
        ([float("nan"), 2.0, -1.0], 10, "▁█▁"),
    ],
)
def test_a_sparkline_rises_with_its_values(values: list[float], width: int, expected: str) -> None:
    assert sparkline(values, width, 0.0, 1.0) == expected


def test_frame_spacing_tells_constant_from_variable_rates() -> None:
    assert frame_spacing(np.array([0.0, 33.0, 67.0, 100.0])) == "constant: 33.33 ms"
    words = frame_spacing(np.cumsum([0, 40, 40, 40, 250]))
    assert words == "variable: 40 ms █··········▃ 250 ms, median 40 ms"
    assert frame_spacing(np.array([0.0])) == "a single frame"
