"""What is new, changed, gone, settled or held back, and which keys share a run: by example and by property."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_assets.core.library.changes import (
    AGREEING_TICKS,
    BRIDGED,
    Hold,
    KnownVideo,
    bridges,
    hold_back,
    neighbour_batches,
    partition_changes,
    settled_videos,
)
from clip_assets.core.library.listing import Listing, Unlisted, VideoFile

KEYS = st.sampled_from([f"{folder}{name}.mp4" for folder in ("", "a/", "a/b/") for name in "pqrs"])
STAMPS = st.tuples(st.integers(0, 2), st.integers(0, 2))
LISTED = st.dictionaries(KEYS, STAMPS)
KNOWN = st.dictionaries(KEYS, st.none() | st.builds(KnownVideo, st.integers(0, 2), st.integers(0, 2), st.just("f")))


def listing(videos: dict[str, tuple[int, int]], *unlisted: str) -> Listing:
    files = tuple(VideoFile(key, *stamp) for key, stamp in sorted(videos.items()))
    return Listing(files, tuple(Unlisted(key, "unreadable") for key in unlisted))


def many(count: int) -> dict[str, tuple[int, int]]:
    return {f"{number:03}.mp4": (1, 1) for number in range(count)}


@given(LISTED, KNOWN, st.sets(KEYS), st.sets(st.sampled_from(["a", "a/b", "p.mp4"])))
def test_every_key_gets_exactly_one_verdict(
    listed: dict[str, tuple[int, int]], known: dict[str, KnownVideo | None], in_flight: set[str], unlisted: set[str]
) -> None:
    changes = partition_changes(listing(listed, *unlisted), known, in_flight)
    verdicts = [*(video.key for video in (*changes.new, *changes.changed)), *changes.removed, *changes.busy]
    assert len(verdicts) == len(set(verdicts))
    for key in set(listed) | set(known):
        record = known.get(key)
        is_unlisted = any(key == folder or key.startswith(f"{folder}/") for folder in unlisted)
        is_as_known = record is not None and (record.size, record.mtime_ns) == listed.get(key)
        differs = not is_as_known if key in listed else not is_unlisted
        assert (key in verdicts) == differs
        assert (key in changes.busy) == (differs and key in in_flight)
        assert (key in changes.removed) == (key not in listed and not is_unlisted and key not in in_flight)


@given(LISTED, st.sets(KEYS))
def test_what_is_known_as_it_is_listed_needs_nothing(listed: dict[str, tuple[int, int]], in_flight: set[str]) -> None:
    known = {key: KnownVideo(*stamp, "f") for key, stamp in listed.items()}
    changes = partition_changes(listing(listed), known, in_flight)
    assert (changes.new, changes.changed, changes.removed, changes.busy) == ((), (), (), ())


def test_nothing_below_a_folder_that_cannot_be_read_is_gone() -> None:
    known = {"a/p.mp4": None, "a/b/q.mp4": None, "ab/r.mp4": None, "s.mp4": None}
    changes = partition_changes(listing({"s.mp4": (1, 1)}, "a"), known, set())
    assert changes.removed == ("ab/r.mp4",)


def test_a_video_settles_when_it_was_seen_unchanged_for_the_settle_time_not_when_its_mtime_is_old() -> None:
    old = VideoFile("a.mp4", size=5, mtime_ns=0)
    settled, seen = settled_videos([old], {}, now=1000.0, settle_seconds=10)
    assert settled == []
    settled, seen = settled_videos([old], seen, now=1009.0, settle_seconds=10)
    assert settled == []
    settled, _ = settled_videos([old], seen, now=1010.0, settle_seconds=10)
    assert settled == [old]


@pytest.mark.parametrize("other", [{"size": 6, "mtime_ns": 0}, {"size": 5, "mtime_ns": 1}])
def test_the_settle_time_begins_again_when_size_or_mtime_changes(other: dict[str, int]) -> None:
    _, seen = settled_videos([VideoFile("a.mp4", size=5, mtime_ns=0)], {}, 1000.0, 10)
    written = VideoFile("a.mp4", **other)
    settled, seen = settled_videos([written], seen, 1010.0, 10)
    assert settled == []
    assert settled_videos([written], seen, 1020.0, 10)[0] == [written]


def test_what_was_seen_of_a_video_that_is_gone_is_forgotten() -> None:
    _, seen = settled_videos([VideoFile("a.mp4", 5, 0)], {}, 1000.0, 10)
    assert settled_videos([], seen, 1001.0, 10)[1] == {}


def test_few_deletions_are_carried_out_at_once() -> None:
    assert hold_back(listing(many(10)), ["x"] * 10, known=20, before=None) is None
    assert hold_back(listing(many(1)), ["x"] * 8, known=9, before=None) is None


def test_more_than_half_of_ten_known_videos_go_only_after_three_more_looks_agree() -> None:
    removed = [f"x{number}" for number in range(6)]
    hold = None
    for _ in range(AGREEING_TICKS):
        hold = hold_back(listing(many(4)), removed, 10, hold)
        assert hold is not None
    assert hold_back(listing(many(4)), removed, 10, hold) is None


def test_a_look_that_disagrees_starts_the_count_again() -> None:
    removed = [f"x{number}" for number in range(8)]
    hold = None
    for _ in range(AGREEING_TICKS):
        hold = hold_back(listing(many(2)), removed, 10, hold)
    hold = hold_back(listing(many(3)), removed[:7], 10, hold)
    assert hold is not None
    assert hold.agreed == 0


def test_an_empty_library_removes_nothing_however_often_it_is_seen_and_however_few_are_known() -> None:
    hold: Hold | None = None
    for _ in range(10):
        hold = hold_back(listing({}), ["only.mp4"], 1, hold)
        assert hold is not None


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 7))
def test_batches_hold_every_wanted_key_once_and_nothing_between_them(flags: list[bool], size: int) -> None:
    order = [str(number) for number in range(len(flags))]
    wanted = {key for key, flag in zip(order, flags, strict=True) if flag}
    batches = neighbour_batches(wanted, order, size)
    assert [key for batch in batches for key in batch] == [key for key in order if key in wanted]
    for batch in batches:
        assert 1 <= len(batch) <= size
        start = order.index(batch[0])
        assert list(batch) == order[start : start + len(batch)]
    for one, following in pairwise(batches):
        adjacent = order.index(following[0]) == order.index(one[-1]) + 1
        assert len(one) == size or not adjacent


@given(st.lists(st.sampled_from(["wanted", "done", "other"]), max_size=60), st.integers(1, 7))
def test_a_batch_reaches_over_what_is_done_and_over_nothing_else(kinds: list[str], size: int) -> None:
    order = [str(number) for number in range(len(kinds))]
    of_kind = {kind: {key for key, its in zip(order, kinds, strict=True) if its == kind} for kind in set(kinds)}
    wanted, done = of_kind.get("wanted", set()), of_kind.get("done", set())
    batches = neighbour_batches(wanted, order, size, done)
    assert [key for batch in batches for key in batch if key in wanted] == [key for key in order if key in wanted]
    for batch in batches:
        start = order.index(batch[0])
        assert list(batch) == order[start : start + len(batch)]
        assert {batch[0], batch[-1]} <= wanted
        assert set(batch) <= wanted | done
        assert len(wanted.intersection(batch)) <= size
    between = bridges(wanted, order)
    assert {key for batch in batches for key in batch} <= wanted | set(between)
    assert not wanted.intersection(between)


def test_150_scattered_videos_take_10_runs_and_a_far_one_is_not_reached() -> None:
    order = [str(number) for number in range(300)]
    wanted, done = set(order[::2]), set(order[1::2])
    assert len(neighbour_batches(wanted, order, 16)) == 150
    assert len(neighbour_batches(wanted, order, 16, done)) == 10
    assert bridges(wanted, order) == order[1:-1:2]
    ends = {order[0], order[BRIDGED + 1], order[-1]}
    assert neighbour_batches(ends, order, 16, order) == [tuple(order[: BRIDGED + 2]), (order[-1],)]
    assert bridges(ends, order) == order[1 : BRIDGED + 1]
