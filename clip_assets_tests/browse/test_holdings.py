"""What is known of the library: states folded over assets, values that are computed in the background."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from clip_assets.browse.holdings import Holdings, Video, Videos, VideoState
from clip_assets.browse.refreshed import Refreshed
from clip_assets.cli.browse import as_shown
from clip_assets.core.errors import StoreError
from clip_assets.core.store import Store
from clip_assets.results.video_status import AssetState, VideoStatus
from clip_assets_tests.making.server import wait_until

DONE, MISSING = AssetState("done"), AssetState("missing")
FAILED, STALE = AssetState("failed", "it is cut off"), AssetState("stale", "the video has changed")


@pytest.mark.parametrize(
    ("assets", "told"),
    [
        ([DONE, DONE], VideoState("done")),
        ([DONE, MISSING], VideoState("waiting")),
        ([MISSING, STALE, DONE], VideoState("stale", "the video has changed")),
        ([AssetState("gone"), AssetState("gone")], VideoState("gone")),
        ([MISSING, STALE, FAILED], VideoState("failed", "it is cut off")),
    ],
)
def test_a_video_is_in_the_worst_of_its_assets_states(assets: list[AssetState], told: VideoState) -> None:
    assert as_shown(VideoStatus("a.mp4", {str(number): asset for number, asset in enumerate(assets)})) == told


def test_who_cannot_wait_gets_the_value_there_is() -> None:
    go_on = threading.Event()
    value = Refreshed(lambda: go_on.wait() and "new", "none yet", every_seconds=1000)
    assert value.get(0.0) == "none yet"
    assert value.age() is None
    go_on.set()
    assert value.get(60.0) == "new"
    assert value.age() is not None


def test_a_value_that_cannot_be_computed_says_why_and_keeps_the_last() -> None:
    def compute() -> str:
        if tries.pop():
            return "good"
        raise StoreError("the disk is gone")

    tries = [False, True]
    value = Refreshed(compute, "", every_seconds=0)
    assert value.get(60.0) == "good"
    wait_until(lambda: value.get(60.0) == "good" and value.trouble, 30, "the next computation")
    assert value.get(60.0) == "good"
    assert value.trouble == "the disk is gone"


def test_a_value_that_is_as_before_stays_the_same_object() -> None:
    value = Refreshed(lambda: {"a": 1}, {}, every_seconds=0)
    first = value.get(60.0)
    for _ in range(3):
        assert value.get(60.0) is first


def test_what_all_videos_are_together() -> None:
    videos = Videos(
        [
            Video("a/1.mp4", "done", created="2026-01-02", version="x", seconds=1.5, frames=2, model="demo"),
            Video("a/2.mp4", "done", created="2026-01-03", version="y", frames=3, model="demo"),
            Video("b.mp4", "failed", "it is no video"),
        ]
    )
    assert (videos.seconds, videos.frames, videos.models, videos.folders) == (1.5, 5, ["demo"], ["a"])
    assert videos.counts == {"done": 2, "failed": 1}
    assert [video.key for video in videos.newest] == ["a/2.mp4", "a/1.mp4"]
    assert [video.key for video in videos.failed] == ["b.mp4"]
    assert videos.by_key["b.mp4"].reason == "it is no video"


def test_who_has_not_heard_of_the_states_yet_is_told_that_they_are_asked_for(tmp_path: Path) -> None:
    go_on = threading.Event()
    holdings = Holdings(Store(tmp_path), lambda: go_on.wait() and {"a.mp4": VideoState("waiting")})
    assert holdings.overview().is_asking
    go_on.set()
    for _ in range(1000):
        if not holdings.overview().is_asking:
            break
    assert list(holdings.overview().videos) == [Video("a.mp4", "waiting")]
