"""Matching against values worked out by hand and against the formula in Python's floats."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from clip_assets.core.errors import MatchingError
from clip_assets.core.matching import Stretch, format_predictions, match_texts, stretches
from clip_assets.core.model.score import Score
from clip_assets.core.records import TextMatch

TEXTS = ("a dog smiles", "a man is lifting")


def match_of(probabilities: list[list[float]], timestamps_ms: list[float], texts: tuple[str, ...] = TEXTS) -> TextMatch:
    array = np.array(probabilities, dtype=np.float64).reshape(-1, len(texts))
    return TextMatch(texts, array, np.zeros_like(array), np.array(timestamps_ms, dtype=np.float64))


# match_texts


def test_logits_are_the_scale_times_the_cosine_whatever_the_lengths():
    match = match_texts([[3, 4], [0, -2]], [[10, 0], [0, 0.5]], Score(100.0), TEXTS, [0, 40])
    np.testing.assert_allclose(match.logits, [[60, 80], [0, -100]], rtol=1e-15)
    assert match.texts == TEXTS
    assert match.timestamps_ms.tolist() == [0, 40]


def test_probabilities_are_the_softmax_over_the_texts():
    match = match_texts([[1, 0]], [[1, 0], [0, 1], [-1, 0]], Score(math.log(2)), ["same", "across", "against"], [0])
    np.testing.assert_allclose(match.probabilities, [[4 / 7, 2 / 7, 1 / 7]], rtol=1e-15)


def test_float16_features_are_compared_in_float64():
    features = np.random.default_rng(0).standard_normal((5, 512)).astype(np.float16)
    match = match_texts(features, features[:2], Score(100.0), TEXTS, np.arange(5))
    wide = features.astype(np.float64)
    expected = [[100 * a @ b / math.sqrt((a @ a) * (b @ b)) for b in wide[:2]] for a in wide]
    assert match.logits.dtype == match.probabilities.dtype == np.float64
    np.testing.assert_allclose(match.logits, expected, rtol=0, atol=1e-12)


vectors = st.integers(1, 8).flatmap(
    lambda width: st.tuples(
        *(
            hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.just(width)), elements=st.floats(-8, 8, width=32))
            for _ in range(2)
        )
    )
)


@given(vectors, st.floats(0.1, 1000))
def test_each_row_of_probabilities_sums_to_one(pair: tuple[np.ndarray, np.ndarray], logit_scale: float):
    features, text_features = (array + np.float32(9) for array in pair)  # no zero vectors
    texts = [str(i) for i in range(len(text_features))]
    match = match_texts(features, text_features, Score(logit_scale), texts, np.arange(len(features)))
    np.testing.assert_allclose(match.probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert (match.probabilities >= 0).all()
    assert match.probabilities.shape == match.logits.shape == (len(features), len(texts))


def test_a_huge_scale_saturates_instead_of_overflowing():
    match = match_texts([[1, 0]], [[1, 0], [-1, 0]], Score(1e6), TEXTS, [0])
    assert match.probabilities.tolist() == [[1.0, 0.0]]


def test_no_frames_give_an_empty_match():
    match = match_texts(np.zeros((0, 4)), np.ones((2, 4)), Score(100.0), TEXTS, [])
    assert match.probabilities.shape == (0, 2)
    assert stretches(match) == []
    assert list(format_predictions(3, match)) == ["Video #3: a dog smiles | a man is lifting"]


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_a_feature_without_direction_is_an_error_and_not_nan(bad: float):
    features = np.ones((3, 4))
    features[1] = bad
    with pytest.raises(MatchingError, match=r"feature of frame 1 has the norm .*; 1 of 3 are zero"):
        match_texts(features, np.ones((2, 4)), Score(100.0), TEXTS, [0, 1, 2])
    with pytest.raises(MatchingError, match="feature of text 1 "):
        match_texts(np.ones((1, 4)), features, Score(100.0), ["a", "b", "c"], [0])


@pytest.mark.parametrize(
    ("features", "text_features", "texts", "times"),
    [
        ((2, 4), (2, 5), TEXTS, 2),
        ((2, 4), (0, 4), (), 2),
        ((8,), (2, 4), TEXTS, 2),
        ((2, 4), (2, 4), ("one",), 2),
        ((2, 4), (2, 4), TEXTS, 3),
    ],
)
def test_shapes_that_do_not_fit_are_refused(features: tuple, text_features: tuple, texts: tuple, times: int):
    with pytest.raises(MatchingError, match="Give"):
        match_texts(np.ones(features), np.ones(text_features), Score(100.0), texts, np.arange(times))


# stretches


def test_stretches_run_to_the_next_ones_first_frame_and_the_last_to_the_end_of_the_video():
    match = match_of([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [1.0, 0.0]], [0, 40, 80, 120, 160])
    assert stretches(match, 200.5) == [
        Stretch(0, 80, "a dog smiles", pytest.approx(0.8)),
        Stretch(80, 120, "a man is lifting", pytest.approx(0.8)),
        Stretch(120, 200.5, "a dog smiles", pytest.approx(0.8)),
    ]


def test_where_nobody_knows_the_end_the_last_stretch_ends_with_the_last_sample():
    match = match_of([[0.9, 0.1], [0.7, 0.3]], [0, 40])
    assert stretches(match) == [Stretch(0, 40, "a dog smiles", pytest.approx(0.8))]


def test_a_single_frame_is_a_stretch_of_no_length():
    assert stretches(match_of([[0.25, 0.75]], [0])) == [Stretch(0, 0, "a man is lifting", 0.75)]


def test_of_equally_good_texts_the_first_is_named():
    assert stretches(match_of([[0.5, 0.5]], [0]))[0].text == "a dog smiles"


@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.sampled_from([0.25, 0.75])))
def test_stretches_are_maximal_and_cover_every_frame(probabilities: np.ndarray):
    found = stretches(match_of(probabilities.tolist(), [40.0 * i for i in range(len(probabilities))]))
    assert found[0].from_ms == 0
    assert found[-1].to_ms == 40 * (len(probabilities) - 1)
    for stretch, following in pairwise(found):
        assert stretch.to_ms == following.from_ms
        assert stretch.text != following.text


# format_predictions


def test_predictions_are_printed_as_video_features_prints_them():
    match = match_of([[0.987789807340838, 0.012210192659162062], [1 / 3, 2 / 3]], [0, 1000])
    assert list(format_predictions(0, match)) == [
        "Video #0: a dog smiles | a man is lifting",
        "frame 0: [0.987789807340838, 0.012210192659162062]",
        "frame 1: [0.3333333333333333, 0.6666666666666666]",
    ]


def test_one_text_prints_a_certainty_per_frame():
    lines = list(format_predictions(7, match_of([[1.0]], [0], texts=("a cat",))))
    assert lines == ["Video #7: a cat", "frame 0: [1.0]"]
