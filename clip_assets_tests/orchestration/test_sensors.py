"""What `video_library` asks for, tick by tick, with a daemon of a few lines that carries it out or dies half-way."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from clip_assets.core.errors import ClipAssetsError, VideoUnreadableError
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.folder import Folder
from clip_assets.core.store.store import TRASH, Store
from clip_assets.orchestration.dagster_storage import InstancePages
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import all_keys, keys_at, register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.library_tick import REQUESTS_PER_TICK, Cursor, Decision, Look, library_memory
from clip_assets.orchestration.partitions import materialized_version, version_events
from clip_assets.results.assets import PER_VIDEO
from clip_assets_tests.core.library.test_state import file_of
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import Platform, platform_of_single_frames

SETTLE = 10.0


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with platform_of_single_frames(tmp_path, []) as made:
        yield made


@dataclass
class Daemon:
    """Evaluates `video_library` as Dagster's daemon does; its runs go on until a test ends them."""

    platform: Platform
    cursor: str | None = None
    now: float = 1_000_000.0
    run_keys: list[str] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)

    def tick(self, *, seconds: float = SETTLE, dies_after: str = "") -> Decision:
        """One tick, ``seconds`` after the last; it may die after its ``observations`` or its ``partitions``."""
        self.now += seconds
        platform, instance = self.platform, self.platform.instance
        listed = platform.settings.source.listing()
        look = Look(platform.settings, instance, platform.registered(), listed, self.now)
        decision = look.decide(Cursor.from_json(self.cursor))
        result = decision.to_dagster(self.cursor)
        decision.report(instance)
        if dies_after == "observations":
            return decision
        for request in result.dynamic_partitions_requests or ():
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                instance.add_dynamic_partitions("videos", list(request.partition_keys))
            else:
                for key in request.partition_keys:
                    instance.delete_dynamic_partition("videos", key)
        if dies_after == "partitions":
            return decision
        self.cursor = result.cursor
        for request in result.run_requests or ():
            if request.run_key not in self.run_keys:
                self.run_keys.append(request.run_key)
                run = dg.DagsterRun("job", run_id=str(uuid.uuid4()), tags=request.tags, status=STARTED)
                self.run_ids.append(instance.add_run(run).run_id)
        return decision

    def end_runs(self) -> None:
        for run_id in self.run_ids:
            run = self.platform.instance.get_run_by_id(run_id)
            self.platform.instance.report_run_canceled(run)
        self.run_ids.clear()


STARTED = dg.DagsterRunStatus.STARTED


def put(platform: Platform, *keys: str, content: str = "a") -> None:
    for key in keys:
        path = platform.videos / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def batches(decision: Decision) -> list[list[str]]:
    return [list(batch) for batch in decision.batches]


def steady(platform: Platform, *keys: str) -> Daemon:
    """A daemon that has seen these videos, with results asked for and no run left."""
    put(platform, *keys)
    daemon = Daemon(platform)
    daemon.tick()
    daemon.tick()
    assert platform.registered() == sorted(keys)
    daemon.end_runs()
    return daemon


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


def test_videos_that_were_added_and_materialized_by_hand_are_recognised(platform: Platform) -> None:
    for name in ("a", "b", "c"):
        corpus.single_frame(platform.videos / f"{name}.mp4")
    platform.add("a.mp4", "b.mp4", "c.mp4")
    assert platform.materialize("b.mp4").success
    daemon = Daemon(platform)
    daemon.tick()
    decision = daemon.tick()
    assert batches(decision) == [["a.mp4"], ["c.mp4"]]


def test_a_video_that_lacks_any_asset_is_asked_for_where_nothing_is_known_of_it(platform: Platform) -> None:
    for name in ("a", "b", "c"):
        corpus.single_frame(platform.videos / f"{name}.mp4")
    platform.add("a.mp4", "b.mp4", "c.mp4")
    assert platform.materialize("a.mp4", "b.mp4", "c.mp4").success
    platform.store.delete("shots", "b.mp4")
    daemon = Daemon(platform)
    daemon.tick()
    assert batches(daemon.tick()) == [["b.mp4"]]


def test_a_video_that_changed_while_what_was_known_got_lost_is_not_missed(platform: Platform) -> None:
    corpus.single_frame(platform.videos / "a.mp4")
    platform.add("a.mp4")
    assert platform.materialize("a.mp4").success
    corpus.constant_rate(platform.videos / "a.mp4")
    daemon = Daemon(platform, cursor=Cursor(state="lost").to_json())
    daemon.tick()
    assert batches(daemon.tick()) == [["a.mp4"]]


def test_what_was_known_in_a_file_of_before_is_taken_over_and_nothing_is_asked_for_again(platform: Platform) -> None:
    daemon = steady(platform, "a.mp4", "b.mp4")
    memory = library_memory(platform.instance, platform.names, Cursor.from_json(daemon.cursor).state)
    name = file_of(Path(platform.instance.storage_directory()) / "video_library", memory.state)
    daemon.cursor = json.dumps({"state": name, "hold": None, "filled": True})
    with patch.object(Folder, "fingerprint", side_effect=AssertionError("read")):
        assert batches(daemon.tick()) == []
        shutil.rmtree(Path(platform.instance.storage_directory()) / "video_library")
        assert batches(daemon.tick()) == []
    put(platform, "a.mp4", content="changed")
    daemon.tick()
    assert batches(daemon.tick()) == [["a.mp4"]]


def test_a_look_at_a_library_that_did_not_change_writes_nothing_and_asks_for_the_partitions_once(
    platform: Platform,
) -> None:
    sensor = build_definitions(platform.settings).resolve_sensor_def("video_library")
    daemon = steady(platform, "a.mp4", "b.mp4")
    instance = platform.instance
    with (
        dg.build_sensor_context(instance=instance, cursor=daemon.cursor) as context,
        patch.object(InstancePages, "write", side_effect=AssertionError("written")),
        patch.object(instance, "get_dynamic_partitions", wraps=instance.get_dynamic_partitions) as asked,
    ):
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    assert result.skip_reason
    assert asked.call_count == 1


@pytest.mark.parametrize("dies_after", ["observations", "partitions"])
def test_a_tick_that_dies_half_way_loses_nothing_and_doubles_nothing(platform: Platform, dies_after: str) -> None:
    put(platform, "a.mp4", "b.mp4")
    daemon = Daemon(platform)
    daemon.tick()
    died = daemon.tick(dies_after=dies_after)
    again = daemon.tick()
    assert batches(died) == batches(again) == [["a.mp4", "b.mp4"]]
    assert platform.registered() == ["a.mp4", "b.mp4"]
    assert [request.run_key for request in again.to_dagster("c").run_requests] == [
        request.run_key for request in died.to_dagster("c").run_requests
    ]
    assert len(daemon.run_keys) == 1
    assert batches(daemon.tick()) == []


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


def test_the_cursor_stays_small(platform: Platform) -> None:
    daemon = steady(platform, *(f"{number}.mp4" for number in range(50)))
    assert daemon.cursor is not None
    assert len(daemon.cursor) < 200


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
