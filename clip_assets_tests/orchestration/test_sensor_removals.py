"""What `video_library` does where videos are gone, tick by tick."""

from __future__ import annotations

import dagster as dg
import pytest

from clip_assets.core.store.store import TRASH, Store
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.results.assets import PER_VIDEO
from clip_assets_tests.making import corpus
from clip_assets_tests.making.daemon import Daemon, batches, put, steady
from clip_assets_tests.making.platform import Platform


def test_a_removed_video_s_partition_goes_when_no_run_holds_it(platform: Platform) -> None:
    put(platform, "a.mp4", "b.mp4")
    daemon = Daemon(platform)
    daemon.tick()
    daemon.tick()
    (platform.videos / "a.mp4").unlink()
    assert "1 waiting: a run holds it" in daemon.tick().message
    assert platform.registered() == ["a.mp4", "b.mp4"]
    daemon.end_runs()
    assert daemon.tick().message == "1 removed"
    assert platform.registered() == ["b.mp4"]
    assert daemon.tick().message == "no change, 1 videos"


@pytest.mark.parametrize("removed", ["keep", "trash"])
def test_results_of_a_removed_video_are_kept_or_moved_to_the_trash(platform: Platform, removed: str) -> None:
    corpus.single_frame(platform.videos / "a.mp4")
    put(platform, "b.mp4")
    platform.change(removed=removed)
    platform.add("a.mp4")
    assert platform.materialize("a.mp4").success
    daemon = Daemon(platform)
    daemon.tick()
    (platform.videos / "a.mp4").unlink()
    daemon.tick()
    assert "a.mp4" not in platform.registered()
    trash = Store(f"{platform.settings.output}/{TRASH}")
    for asset in PER_VIDEO:
        assert list(platform.store.keys(asset)) == (["a.mp4"] if removed == "keep" else [])
        assert list(trash.keys(asset)) == ([] if removed == "keep" else ["a.mp4"])


def test_a_video_that_comes_back_is_asked_for_again(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4", "b.mp4")
    (platform.videos / "a.mp4").rename(platform.folder / "a.mp4")
    daemon.tick()
    (platform.folder / "a.mp4").rename(platform.videos / "a.mp4")
    daemon.tick()
    assert batches(daemon.tick()) == [["a.mp4"]]
    assert platform.registered() == ["b.mp4", "a.mp4"]


def test_a_video_that_comes_back_with_its_results_still_stored_is_registered_again(platform: Platform) -> None:
    corpus.single_frame(platform.videos / "a.mp4")
    put(platform, "b.mp4")
    platform.add("a.mp4", "b.mp4")
    assert platform.materialize("a.mp4").success
    daemon = Daemon(platform)
    daemon.tick()
    (platform.videos / "a.mp4").rename(platform.folder / "a.mp4")
    daemon.tick()
    assert platform.registered() == ["b.mp4"]
    (platform.folder / "a.mp4").rename(platform.videos / "a.mp4")
    daemon.tick()
    daemon.tick()
    assert platform.registered() == ["b.mp4", "a.mp4"]


def test_an_empty_library_removes_nothing_and_says_so(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4", "b.mp4")
    for name in ("a.mp4", "b.mp4"):
        (platform.videos / name).unlink()
    for _ in range(6):
        assert "2 gone but kept (a.mp4, b.mp4): an empty library removes nothing" in daemon.tick().message
    assert platform.registered() == ["a.mp4", "b.mp4"]


def test_a_library_that_cannot_be_listed_removes_nothing_and_says_so(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4")
    platform.videos.rename(platform.folder / "unmounted")
    repository = build_definitions(platform.settings).get_repository_def()
    sensor = repository.get_sensor_def("video_library")
    context = dg.build_sensor_context(platform.instance, cursor=daemon.cursor, repository_def=repository)
    result = sensor(context)
    assert isinstance(result, dg.SkipReason)
    assert "can't be listed" in result.skip_message
    assert "CLIP_ASSETS_VIDEOS" in result.skip_message
    assert "Nothing is removed." in result.skip_message
    assert platform.registered() == ["a.mp4"]


def test_many_deletions_at_once_are_named_and_wait_for_three_more_ticks(platform: Platform) -> None:
    keys = [f"{number}.mp4" for number in range(10)]
    daemon = steady(platform, *keys)
    for key in keys[:6]:
        (platform.videos / key).unlink()
    for left in (3, 2, 1):
        message = daemon.tick().message
        assert "6 gone but kept (0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 ...)" in message
        assert f"the next {left} ticks" in message
        assert platform.registered() == keys
    assert daemon.tick().message == "6 removed"
    assert platform.registered() == keys[6:]
