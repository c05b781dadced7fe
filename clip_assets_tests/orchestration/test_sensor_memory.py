"""What `video_library` knows from tick to tick, and how it does without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from clip_assets.core.library.folder import Folder
from clip_assets.orchestration.dagster_storage import InstancePages
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.library_tick import Cursor, library_memory
from clip_assets_tests.core.library.test_state import file_of
from clip_assets_tests.making import corpus
from clip_assets_tests.making.daemon import Daemon, batches, put, steady
from clip_assets_tests.making.platform import Platform


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


def test_the_cursor_stays_small(platform: Platform) -> None:
    daemon = steady(platform, *(f"{number}.mp4" for number in range(50)))
    assert daemon.cursor is not None
    assert len(daemon.cursor) < 200
