"""What is known of the library: states folded over assets, values that are computed in the background."""

from __future__ import annotations

import threading

import pytest

from clip_assets.browse.command import as_shown
from clip_assets.browse.holdings import VideoState
from clip_assets.browse.refreshed import Refreshed
from clip_assets.core.errors import StoreError
from clip_assets.states import AssetState, VideoStatus

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
    for _ in range(10_000):
        if value.trouble:
            break
        assert value.get(60.0) == "good"
    assert value.trouble == "the disk is gone"
