from __future__ import annotations

import numpy as np
import pytest

from clip_assets.core.errors import QueryError
from clip_assets.core.model.score import Score
from clip_assets.core.search.likelihood import likelihoods
from clip_assets.core.search.queries import (
    Place,
    checked_sentence,
    names_with,
    parse_place,
    rows_at,
    split_weight,
    weighted_sum,
)
from clip_assets.core.search.texts import TextCache


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a dog:0.5", ("a dog", 0.5)),
        ("a dog", ("a dog", 1.0)),
        ("at 10:30", ("at 10:30", 1.0)),
        ("C:/a.jpg:1.5", ("C:/a.jpg", 1.5)),
        ("a dog:-.25", ("a dog", -0.25)),
        (":0.5", (":0.5", 1.0)),
    ],
)
def test_a_weight_is_a_number_with_a_point_behind_a_colon(words, expected):
    assert split_weight(words) == expected


def test_a_weight_of_what_is_not_wanted_is_negative():
    assert split_weight("a dog", -0.5) == ("a dog", -0.5)
    assert split_weight("a dog:0.3", -0.5) == ("a dog", -0.3)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("sports/lifting.mp4@12.3", Place("sports/lifting.mp4", 12_300.0, 12_300.0)),
        ("a@b.mp4@12-15", Place("a@b.mp4", 12_000.0, 15_000.0)),
    ],
)
def test_a_place_is_a_key_and_seconds(words, place):
    assert parse_place(words) == place


@pytest.mark.parametrize("words", ["a.mp4", "a.mp4@", "a.mp4@x", "@3", "a.mp4@5-3", "a.mp4@1-", "a.mp4@-1"])
def test_what_is_no_place_is_refused(words):
    with pytest.raises(QueryError, match=r"names no moment|ends before"):
        parse_place(words)


@pytest.mark.parametrize(
    ("from_s", "to_s", "rows"),
    [(0, 0, (0, 1)), (0.26, 0.26, (1, 2)), (0.2, 0.8, (0, 3)), (1.9, 1.9, (3, 4)), (2, 2, (3, 4)), (0, 9, (0, 4))],
)
def test_a_place_is_the_rows_whose_time_it_touches(from_s, to_s, rows):
    place = Place("a.mp4", from_s * 1000, to_s * 1000)
    assert rows_at(place, np.arange(4) * 500.0, 2000.0) == rows


def test_a_place_behind_the_end_is_refused():
    with pytest.raises(QueryError, match=r"lasts 2 s; asked was for 2\.1 s"):
        rows_at(Place("a.mp4", 2100.0, 2100.0), np.arange(4) * 500.0, 2000.0)


def test_a_sum_is_of_directions_whatever_the_features_lengths():
    np.testing.assert_allclose(weighted_sum([[9.0, 0.0], [0.0, 0.1]], [1.0, 1.0]), [0.5**0.5, 0.5**0.5])
    np.testing.assert_allclose(weighted_sum([[9.0, 0.0], [0.0, 0.1]], [1.0, -0.5]), [2 / 5**0.5, -1 / 5**0.5])


@pytest.mark.parametrize(("vectors", "weights"), [([], []), ([[1.0, 0.0], [2.0, 0.0]], [1.0, -1.0]), ([[0.0]], [1.0])])
def test_a_sum_without_a_direction_is_refused(vectors, weights):
    with pytest.raises(QueryError):
        weighted_sum(vectors, weights)


@pytest.mark.parametrize("sentence", ["", "  \n"])
def test_an_empty_sentence_is_refused(sentence):
    with pytest.raises(QueryError, match="empty"):
        checked_sentence(sentence)


def test_file_names_that_contain_all_words_are_named():
    keys = ["a dog.mp4", "dogs/CAT.mp4", "cat.mp4"]
    assert names_with("a dog", keys) == ("a dog.mp4", "dogs/CAT.mp4")
    assert names_with("the cat's dog", ["the cats dog.mp4"]) == ("the cats dog.mp4",)
    assert names_with("a", keys) == ()


def test_a_probability_is_against_sentences_of_another_meaning():
    alike = [0.99, (1 - 0.99**2) ** 0.5, 0.0]
    (likely,) = likelihoods(
        [[1.0, 0.0, 1.0]], [1.0, 0.0, 0.0], ["same", "other"], [alike, [0.0, 0.0, 2.0]], Score(10.0)
    )
    assert likely.probability == pytest.approx(0.5)
    (unlikely,) = likelihoods(
        [[0.1, 0.0, 1.0]], [1.0, 0.0, 0.0], ["same", "other"], [alike, [0.0, 0.0, 2.0]], Score(10.0)
    )
    assert unlikely.fits_better == "other"
    assert unlikely.probability < 0.01
    assert likelihoods([[1.0, 0.0]], [1.0, 0.0], [], np.empty((0, 2)), Score(10.0))[0].probability == 1.0


def test_sentences_are_remembered_by_weights_and_words(tmp_path):
    texts = TextCache(tmp_path / "new" / "texts.sqlite")
    assert texts.features("w", ["a"]) == {}
    assert texts.score("w") is None
    feature = np.arange(4, dtype=np.float32)
    texts.put("w", Score(50.0), {"a": feature, "\udcff'\n": feature + 1})
    known = TextCache(tmp_path / "new" / "texts.sqlite").features("w", ["a", "\udcff'\n", "b"])
    np.testing.assert_array_equal(known["a"], feature)
    np.testing.assert_array_equal(known["\udcff'\n"], feature + 1)
    assert len(known) == 2
    assert texts.score("w") == Score(50.0)
    assert texts.features("other", ["a"]) == {}


def test_a_damaged_memory_of_sentences_is_begun_anew(tmp_path):
    path = tmp_path / "texts.sqlite"
    path.write_bytes(b"no database" * 500)
    texts = TextCache(path)
    assert texts.features("w", ["a"]) == {}
    texts.put("w", Score(1.0), {"a": np.ones(2, np.float32)})
    assert list(texts.features("w", ["a"])) == ["a"]


def test_a_memory_that_can_not_be_written_costs_no_more_than_time(tmp_path):
    (tmp_path / "file").write_text("")
    texts = TextCache(tmp_path / "file" / "texts.sqlite")
    texts.put("w", Score(1.0), {"a": np.ones(2, np.float32)})
    assert texts.features("w", ["a"]) == {}
