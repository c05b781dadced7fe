"""What `video_library` asks for, tick by tick."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from clip_assets.core.errors import ClipAssetsError, VideoUnreadableError
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.folder import Folder
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import all_keys, keys_at, register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.library_tick import REQUESTS_PER_TICK, Cursor
from clip_assets.orchestration.partitions import materialized_version, version_events
from clip_assets_tests.making import corpus
from clip_assets_tests.making.daemon import Daemon, batches, put, steady
from clip_assets_tests.making.platform import Platform, platform_of_single_frames


def test_new_videos_are_taken_once_they_have_settled_and_share_a_run(platform: Platform) -> None:
    put(platform, "b.mp4", "a.mp4", "deep/er/c.mkv", "notes.txt", "half.mp4.part")
    daemon = Daemon(platform)
    first = daemon.tick()
    assert (batches(first), platform.registered()) == ([], [])
    assert "3 waiting: still being copied" in first.message
    second = daemon.tick()
    assert batches(second) == [["a.mp4", "b.mp4", "deep/er/c.mkv"]]
    assert second.message == "3 new; 2 files left out for their ending: .part 1, .txt 1"
    assert platform.registered() == ["a.mp4", "b.mp4", "deep/er/c.mkv"]
    assert batches(daemon.tick()) == []
    assert daemon.tick().message == "no change, 3 videos; 2 files left out for their ending: .part 1, .txt 1"


def test_a_video_that_grows_is_not_touched(platform: Platform) -> None:
    daemon = Daemon(platform)
    for length in range(1, 4):
        put(platform, "slow.mp4", content="a" * length)
        assert batches(daemon.tick()) == []
    assert batches(daemon.tick()) == [["slow.mp4"]]


def test_the_run_of_a_batch_is_for_the_range_and_that_of_one_video_for_its_partition(platform: Platform) -> None:
    put(platform, "a.mp4", "b.mp4", "c.mp4")
    platform.change(videos_per_run=2)
    daemon = Daemon(platform)
    daemon.tick()
    decision = daemon.tick()
    requests = decision.to_dagster(None).run_requests
    assert [request.tags for request in requests] == [
        {"dagster/asset_partition_range_start": "a.mp4", "dagster/asset_partition_range_end": "b.mp4"},
        {"dagster/partition": "c.mp4"},
    ]


def test_a_new_or_changed_video_s_data_version_is_observed(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4")
    put(platform, "a.mp4", content="another")
    daemon.tick()
    daemon.tick()
    records = platform.instance.fetch_observations(dg.AssetKey("video"), limit=10).records
    versions = [record.asset_observation.tags["dagster/data_version"] for record in records]
    assert versions[0] == fingerprint(platform.videos / "a.mp4")
    assert len(versions) == len(set(versions)) == 2
    assert materialized_version(platform.instance, dg.AssetKey("video"), "a.mp4") == versions[0]


def test_a_library_that_was_registered_before_videos_were_filled_is_filled_tick_by_tick(platform: Platform) -> None:
    keys = [f"{name}.mp4" for name in "abcde"]
    video = dg.AssetKey("video")
    with patch("clip_assets.orchestration.instance.version_events", lambda *of: version_events(*of)[:1]):
        daemon = steady(platform, *keys)
    assert platform.instance.get_materialized_partitions(video) == set()
    daemon.cursor = json.dumps({"state": Cursor.from_json(daemon.cursor).state, "hold": None})
    with patch("clip_assets.orchestration.library_tick.VIDEOS_PER_TICK", 3):
        assert batches(daemon.tick()) == []
        assert len(platform.instance.get_materialized_partitions(video)) == 3
        assert batches(daemon.tick()) == []
    assert platform.instance.get_materialized_partitions(video) == set(keys)
    with patch.object(type(platform.instance), "get_materialized_partitions", side_effect=AssertionError("asked")):
        daemon.tick()


def test_a_changed_video_runs_again_alone_and_its_neighbours_do_not(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4", "b.mp4", "c.mp4")
    put(platform, "b.mp4", content="another")
    assert batches(daemon.tick()) == []
    decision = daemon.tick()
    assert (batches(decision), decision.message) == ([["b.mp4"]], "1 changed")
    assert len(daemon.run_keys) == 2


def test_a_video_that_changes_back_runs_again_even_with_its_old_size_and_mtime(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4")
    path = platform.videos / "a.mp4"
    stat = path.stat()
    for content, times in (("b", (2, 2)), ("a", (stat.st_atime_ns, stat.st_mtime_ns)), ("b", (2, 2))):
        put(platform, "a.mp4", content=content)
        os.utime(path, ns=times)
        daemon.tick()
        assert batches(daemon.tick()) == [["a.mp4"]]
        daemon.end_runs()
    assert len(daemon.run_keys) == len(set(daemon.run_keys)) == 4


def test_a_touched_video_with_the_same_content_runs_no_more(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4")
    os.utime(platform.videos / "a.mp4", ns=(5, 5))
    daemon.tick()
    assert batches(daemon.tick()) == []
    assert daemon.tick().message == "no change, 1 videos"


def test_a_video_that_changes_while_a_run_holds_it_is_asked_for_when_the_run_has_ended(platform: Platform) -> None:
    put(platform, "a.mp4", "b.mp4", "c.mp4")
    daemon = Daemon(platform)
    daemon.tick()
    daemon.tick()
    put(platform, "b.mp4", content="another")
    for _ in range(3):
        decision = daemon.tick()
        assert batches(decision) == []
        assert "1 waiting: a run holds it" in decision.message
    daemon.end_runs()
    daemon.tick()
    assert batches(daemon.tick()) == [["b.mp4"]]


def test_what_can_be_no_key_or_cannot_be_read_is_reported_and_costs_nothing_else(platform: Platform) -> None:
    put(platform, "a.mp4", "line\nbreak.mp4")
    (platform.videos / "loop").symlink_to(platform.videos)
    (platform.videos / "nothing.mp4").symlink_to(platform.folder / "nothing")
    daemon = Daemon(platform)
    daemon.tick()
    decision = daemon.tick()
    assert batches(decision) == [["a.mp4"]]
    assert "left out 'line\\nbreak.mp4': " in decision.message
    assert "left out 'nothing.mp4': it is a link to nothing" in decision.message


def test_a_video_that_cannot_be_opened_waits_and_is_named(platform: Platform) -> None:
    put(platform, "a.mp4", "b.mp4")
    daemon = Daemon(platform)
    daemon.tick()

    def read(folder: Folder, key: str) -> str:
        if key == "a.mp4":
            raise VideoUnreadableError(f"{folder.where(key)} can't be read: Permission denied.")
        return fingerprint(folder.path(key))

    with patch.object(Folder, "fingerprint", read):
        decision = daemon.tick()
    assert batches(decision) == [["b.mp4"]]
    assert decision.message == f"1 new, waiting: {platform.videos / 'a.mp4'} can't be read: Permission denied."
    daemon.end_runs()
    assert batches(daemon.tick()) == [["a.mp4"]]


def test_a_tick_asks_for_a_stated_number_of_runs_and_the_next_ones_for_the_rest(platform: Platform) -> None:
    keys = [f"{number:03}.mp4" for number in range(2 * REQUESTS_PER_TICK + 3)]
    put(platform, *keys)
    platform.change(videos_per_run=1)
    daemon = Daemon(platform)
    daemon.tick()
    decisions = [daemon.tick() for _ in range(3)]
    assert [len(decision.batches) for decision in decisions] == [REQUESTS_PER_TICK, REQUESTS_PER_TICK, 3]
    assert f"{REQUESTS_PER_TICK + 3} left to the next tick" in decisions[0].message
    assert platform.registered() == keys
    assert batches(daemon.tick()) == []


def test_reading_ends_in_time_and_goes_on_in_the_next_tick(platform: Platform) -> None:
    put(platform, "a.mp4", "b.mp4")
    daemon = Daemon(platform)
    daemon.tick()
    with patch("clip_assets.orchestration.library_tick.READING_SECONDS", -1.0):
        decision = daemon.tick()
    assert (batches(decision), decision.message) == ([], "2 left to the next tick")
    assert batches(daemon.tick()) == [["a.mp4", "b.mp4"]]


def test_a_video_of_another_ending_that_was_added_by_name_is_kept_and_other_files_are_counted(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    corpus.bare(platform.videos / "take.001", corpus.Recipe(frames=2), "mp4")
    put(platform, "take.002", "notes.txt", "deep/notes.txt", "ok.mp4")
    platform.add("take.001")
    for name, reason in [("notes.txt", "it is a text"), ("gone.mp4", "No such file"), ("take.00", "No such file")]:
        with pytest.raises(ClipAssetsError, match=rf"{name}: {reason}"):
            list(keys_at(platform.settings.source, platform.videos / name))
    register(platform.instance, LibraryNames(), platform.settings.source, all_keys(platform.settings.source))
    assert "4 files left out for their ending: .txt 2, " in caplog.text
    sensor = build_definitions(platform.settings).get_repository_def().get_sensor_def("video_library")
    context = dg.build_sensor_context(instance=platform.instance, definitions=build_definitions(platform.settings))
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    assert not result.dynamic_partitions_requests
    assert "3 files left out for their ending: .txt 2, .002 1" in str(result.skip_reason)


@pytest.mark.parametrize(("setting", "status"), [("on", "RUNNING"), ("off", "STOPPED")])
def test_a_setting_starts_the_watching_of_the_folder_and_batches_are_always_split(
    platform: Platform, setting: str, status: str
) -> None:
    platform.change(sensor=setting, sensor_interval=7)
    sensors = build_definitions(platform.settings).get_repository_def().sensor_defs
    assert {sensor.name: sensor.default_status.value for sensor in sensors} == {
        "video_library": status,
        "split_failed_batches": "RUNNING",
    }
    assert {sensor.minimum_interval_seconds for sensor in sensors} == {7}


def test_a_run_reaches_over_videos_that_are_done_and_says_of_them_that_they_were_recognised(tmp_path: Path) -> None:
    keys = [f"{name}.mp4" for name in "abcdef"]
    with platform_of_single_frames(tmp_path, keys) as platform:
        platform.materialize(*keys)
        daemon = Daemon(platform)
        daemon.tick()
        daemon.tick()
        for key in ("a.mp4", "c.mp4", "f.mp4"):
            corpus.write(platform.videos / key, corpus.Recipe(frames=2))
        platform.store.move_to_trash("text_match", "e.mp4")
        daemon.tick()
        assert batches(daemon.tick()) == [["a.mp4", "b.mp4", "c.mp4"], ["f.mp4"]]
        result = platform.materialize("a.mp4", "b.mp4", "c.mp4", assets=["frame_indices"])
        events = {event.partition: event for event in result.asset_materializations_for_node("frame_indices")}
        assert [key for key, event in events.items() if "recognised" in event.metadata] == ["b.mp4"]
