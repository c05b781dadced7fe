from __future__ import annotations

import numpy as np
import pytest

from clip_assets.core.search.index import half_products
from clip_assets.core.search.moments import grow, shot_value, trim
from clip_assets_tests.core.search.corpus import WIDTH, Library, clip_of, told


def test_products_with_halves_are_those_of_the_floats_that_they_stand_for():
    random = np.random.default_rng(0)
    halves = np.concatenate(
        [
            random.standard_normal((700, 64)).astype(np.float16) / 8,
            np.full((1, 64), 6e-8, np.float16),
            np.full((1, 64), -6e-8, np.float16),
            np.zeros((1, 64), np.float16),
        ]
    ).astype(np.float16)
    query = random.standard_normal(64)
    query /= np.linalg.norm(query)
    products = half_products(halves.view(np.int16), query)
    np.testing.assert_allclose(products, halves.astype(np.float32) @ query.astype(np.float32), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("scores", "value"), [([0.4], 0.4), ([0.1, 0.3], 0.3), ([0.1, 0.5, 0.3], 0.4)])
def test_a_shot_is_worth_the_mean_of_the_better_half_of_its_rows(scores, value):
    assert shot_value(np.array(scores)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("values", "seed", "base", "expected"),
    [
        ([0.1, 0.8, 1.0, 0.75, 0.1], 2, 0.0, (1, 3)),
        ([0.1, 0.69, 1.0, 0.71, 0.1], 2, 0.0, (2, 3)),
        ([1.0, 1.0, 1.0], 1, 0.0, (0, 2)),
        ([0.2, 0.2, 0.1], 0, 0.3, (0, 1)),
        ([0.2, 0.25, 0.1], 1, 0.3, (1, 1)),
        ([0.9], 0, 0.0, (0, 0)),
    ],
)
def test_a_moment_grows_to_neighbours_near_enough_to_its_seed(values, seed, base, expected):
    assert grow(values.__getitem__, lambda shot: True, seed, len(values), base) == expected


def test_a_moment_does_not_grow_into_another():
    assert grow(lambda shot: 1.0, lambda shot: shot != 1, 3, 5, 0.0) == (2, 4)


@pytest.mark.parametrize(
    ("scores", "base", "expected"),
    [
        ([0.1, 0.9, 0.2, 1.0, 0.1], 0.0, (1, 3, 3)),
        ([0.5, 0.5], 0.0, (0, 1, 0)),
        ([-0.2, -0.1, -0.3], 0.0, (0, 2, 1)),
    ],
)
def test_the_ends_of_a_moment_are_cut_down_to_good_rows(scores, base, expected):
    assert trim(np.array(scores), base) == expected


@pytest.mark.parametrize("form", ["numpy", "pickle"])
def test_the_right_rows_of_the_right_video_are_found(tmp_path, form):
    library = Library(tmp_path, form)
    library.add("a/one.mp4", clip_of((0, 20), (1, 30), (2, 20)))
    library.add("b/two.mp4", clip_of((3, 20), (1, 10), (4, 70)))
    library.upkeep.refresh()
    assert sorted((key, first, last) for key, first, last, _ in told(library.ask(1, top=2))) == [
        ("a/one.mp4", 20, 49), ("b/two.mp4", 20, 29)
    ]  # fmt: skip
    assert told(library.ask(4, top=1))[0][:3] == ("b/two.mp4", 30, 99)


def test_filters_leave_out_what_is_not_asked_for(tmp_path):
    library = Library(tmp_path)
    library.add("a/one.mp4", clip_of((0, 5), (1, 5), (2, 5), (1, 5), (3, 5), (1, 5)))
    library.add("ab/two.mp4", clip_of((4, 5), (1, 5), (5, 5), (1, 5), (6, 5), (1, 5)))
    library.upkeep.refresh()
    assert {key for key, *_ in told(library.ask(1, under="a"))} == {"a/one.mp4"}
    assert {key for key, *_ in told(library.ask(1, under="a/"))} == {"a/one.mp4"}
    assert told(library.ask(1, under="none")) == []
    assert len(told(library.ask(1, top=2))) == 2
    assert sorted(key for key, *_ in told(library.ask(1, per_video=1))) == ["a/one.mp4", "ab/two.mp4"]
    assert len(told(library.ask(1, min_score=0.9, per_video=9))) == 6
    assert told(library.ask(1, min_score=1.1)) == []


def test_a_video_with_very_many_good_shots_does_not_hide_the_others(tmp_path):
    library = Library(tmp_path)
    library.add("long.mp4", clip_of(*[(0, 6), (1, 2)] * 300, noise=0.02))
    library.add("short.mp4", clip_of((2, 6), (0, 6), (3, 6), noise=0.1))
    library.upkeep.refresh()
    answer = told(library.ask(0))
    assert [key for key, *_ in answer].count("long.mp4") == 3
    assert answer[3][:3] == ("short.mp4", 6, 11)


def test_a_copy_under_another_name_is_told_with_the_moment_and_other_videos_are_not(tmp_path):
    library = Library(tmp_path)
    clip = clip_of((0, 8), (1, 8), (2, 8))
    library.add("b.mp4", clip)
    library.add("a.mp4", clip)
    library.add("c.mp4", clip_of((1, 8), (4, 8), (5, 8)))
    library.upkeep.refresh()
    first, second, *_ = library.ask(1, per_video=1).moments
    assert {first.video.key, second.video.key} == {"a.mp4", "c.mp4"}
    assert [[video.key for video in moment.also_in] for moment in (first, second)].count(["b.mp4"]) == 1


def test_still_pictures_below_the_base_stay_one_moment(tmp_path):
    library = Library(tmp_path)
    library.add("still.mp4", np.repeat(np.eye(1, WIDTH), 40, axis=0).astype(np.float32))
    library.upkeep.refresh()
    assert [(first, last) for _, first, last, _ in told(library.ask(5))] == [(0, 39)]


def test_an_empty_library_has_no_moments(tmp_path):
    library = Library(tmp_path)
    library.upkeep.refresh()
    assert told(library.ask(0)) == []


def test_the_two_stages_find_what_a_search_of_all_rows_finds(tmp_path):
    library = Library(tmp_path)
    random = np.random.default_rng(3)
    clips = {}
    for number in range(12):
        walk = random.standard_normal(WIDTH) + np.cumsum(0.2 * random.standard_normal((120, WIDTH)), axis=0)
        clips[f"{number}.mp4"] = walk.astype(np.float32)
        library.add(f"{number}.mp4", clips[f"{number}.mp4"])
    library.upkeep.refresh()
    hits = 0
    for concept in range(WIDTH):
        best = max((float((clip[:, concept] / np.linalg.norm(clip, axis=1)).max()), key) for key, clip in clips.items())
        found = max((moment.score, moment.video.key) for moment in library.ask(concept).moments)
        hits += abs(found[0] - best[0]) < 1e-5
    assert hits >= WIDTH - 1
