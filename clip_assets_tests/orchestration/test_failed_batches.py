"""What `split_failed_batches` asks for after a batch failed: what failed alone, and the next steps of the others."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from clip_assets.core import matching
from clip_assets.core.errors import ResultMissingError
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.failed_batches import AGAIN_TAG, LOOK_BACK_SECONDS, FailuresCursor, FailuresLook
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import partition_tags
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import ASSETS, Platform


@dataclass
class Splitter:
    """Evaluates `split_failed_batches` as Dagster's daemon does, without carrying out what it asks for."""

    platform: Platform
    cursor: str | None = None

    def tick(self) -> dg.SensorResult:
        repository = build_definitions(self.platform.settings).get_repository_def()
        sensor = repository.get_sensor_def("split_failed_batches")
        context = dg.build_sensor_context(self.platform.instance, cursor=self.cursor, repository_def=repository)
        result = sensor(context)
        self.cursor = result.cursor
        return result


def split(platform: Platform) -> dg.SensorResult:
    """What `split_failed_batches` answers in its first tick."""
    return Splitter(platform).tick()


def asked(result: dg.SensorResult) -> list[tuple[list[str], list[str]]]:
    """For each run that is asked for, the first and the last partition, and the assets in order."""
    return [
        (
            [value for name, value in request.tags.items() if name != AGAIN_TAG],
            [asset for asset in ASSETS if dg.AssetKey(asset) in request.asset_selection],
        )
        for request in result.run_requests
    ]


def carry_out(platform: Platform, result: dg.SensorResult) -> dict[str, dg.ExecuteInProcessResult]:
    """Do the runs that are asked for; by the first partition of each."""
    return {keys[0]: platform.materialize(*keys, assets=assets) for keys, assets in asked(result)}


def materialized(platform: Platform, asset: str) -> list[str]:
    """What is done in Dagster's eyes."""
    return sorted(platform.instance.get_materialized_partitions(dg.AssetKey(asset)))


def die(platform: Platform, job: str, tags: dict[str, str], *, begun: bool = True) -> None:
    """A run whose process is gone, or that waited for one in vain."""
    run = platform.instance.add_run(dg.DagsterRun(job, run_id=str(uuid.uuid4()), tags=tags))
    if begun:
        start = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=job)
        platform.instance.report_dagster_event(start, run.run_id)
    platform.instance.report_run_failed(run)


@pytest.fixture
def batch(platform: Platform) -> list[str]:
    """Five registered videos, the second of which is none."""
    keys = [f"{name}.mp4" for name in "abcde"]
    for key in keys:
        corpus.single_frame(platform.videos / key)
    (platform.videos / "b.mp4").write_text("no video")
    platform.add(*keys)
    return keys


GOOD = ["a.mp4", "c.mp4", "d.mp4", "e.mp4"]
BELOW = ASSETS[1:]
SPLIT = [(["a.mp4"], BELOW), (["c.mp4", "e.mp4"], BELOW), (["b.mp4"], ASSETS)]


def test_what_a_failing_step_stored_is_recorded_before_it_fails(platform: Platform, batch: list[str]) -> None:
    failed = platform.materialize(*batch)
    assert not failed.success
    assert materialized(platform, "frame_indices") == GOOD
    events = {event.partition: event for event in failed.asset_materializations_for_node("frame_indices")}
    assert events["c.mp4"].metadata["sampled_frames"].value == 1
    manifest = platform.store.manifest("frame_indices", "c.mp4")
    assert events["c.mp4"].tags["dagster/data_version"] == manifest.data_version


def test_a_failed_batch_is_split_into_what_failed_alone_and_the_next_steps_of_the_others(
    platform: Platform, batch: list[str]
) -> None:
    config = {"frame_indices": {"extraction_total": 1}, "text_match": {"pred_texts": ["one", "two"]}}
    platform.materialize(*batch, config=config)
    result = split(platform)
    assert asked(result) == SPLIT
    others, alone = result.run_requests[1:]
    assert others.job_name == "extract_clip_features"
    assert others.run_config["ops"] == {"text_match": {"config": {"pred_texts": ["one", "two"]}}}
    assert set(alone.run_config["ops"]) == {"frame_indices", "text_match"}
    assert len({request.run_key for request in result.run_requests}) == 3


@pytest.mark.dagster_bounds
def test_a_split_gives_every_good_video_its_results_and_leaves_the_bad_one_red_alone(
    platform: Platform, batch: list[str]
) -> None:
    platform.materialize(*batch)
    splitter = Splitter(platform)
    outcomes = carry_out(platform, splitter.tick())
    assert {key: outcome.success for key, outcome in outcomes.items()} == {"a.mp4": True, "c.mp4": True, "b.mp4": False}
    for asset in ASSETS:
        assert materialized(platform, asset) == GOOD
    assert asked(splitter.tick()) == []


def test_where_only_the_last_step_failed_nothing_is_left_to_the_others(platform: Platform, batch: list[str]) -> None:
    corpus.single_frame(platform.videos / "b.mp4")
    keys = iter(batch)

    def match(*arguments: Any) -> Any:
        if next(keys) == "b.mp4":
            raise ResultMissingError("gone")
        return matching.match_texts(*arguments)

    with patch("clip_assets.orchestration.assets.text_match.match_texts", match):
        platform.materialize(*batch)
    assert materialized(platform, "text_match") == GOOD
    assert asked(split(platform)) == [(["b.mp4"], ["text_match"])]


def test_a_failure_is_taken_up_once_and_not_where_a_later_run_has_taken_it_up(
    platform: Platform, batch: list[str]
) -> None:
    platform.materialize(*batch)
    splitter = Splitter(platform)
    assert asked(splitter.tick()) == SPLIT
    assert asked(splitter.tick()) == []
    assert platform.materialize("a.mp4").success
    assert platform.materialize("c.mp4", "d.mp4", assets=["clip_features"]).success
    lost_its_cursor = asked(split(platform))
    assert lost_its_cursor == [(["c.mp4", "d.mp4"], ASSETS[2:]), (["e.mp4"], BELOW), (["b.mp4"], ASSETS)]


def test_a_failure_that_is_older_than_a_day_is_left_alone(platform: Platform, batch: list[str]) -> None:
    platform.materialize(*batch)
    day = time.time() + LOOK_BACK_SECONDS
    assert asked(FailuresLook(platform.instance, LibraryNames(), 16, day + 60).decide(FailuresCursor())) == []
    assert asked(FailuresLook(platform.instance, LibraryNames(), 16, day - 60).decide(FailuresCursor())) == SPLIT


def test_what_a_tick_has_no_requests_left_for_is_taken_up_by_the_next(platform: Platform, batch: list[str]) -> None:
    platform.materialize("a.mp4", "b.mp4", assets=["frame_indices"])
    platform.materialize("b.mp4", "c.mp4", assets=ASSETS[:2])
    splitter = Splitter(platform)
    with patch("clip_assets.orchestration.failed_batches.REQUESTS_PER_TICK", 1):
        ticks = [asked(splitter.tick()) for _ in range(2)]
    assert ticks == [[(["c.mp4"], ["clip_features"]), (["b.mp4"], ASSETS[:2])], []]
    platform.materialize("d.mp4", "e.mp4", assets=["text_match"])
    platform.materialize("b.mp4", "c.mp4", assets=["clip_features"])
    with patch("clip_assets.orchestration.failed_batches.REQUESTS_PER_TICK", 1):
        first, second, third = (asked(splitter.tick()) for _ in range(3))
    assert [keys for keys, _ in first] == [["d.mp4"], ["e.mp4"]]
    assert [keys for keys, _ in second] == [["b.mp4"]]
    assert third == []


def test_a_cursor_of_the_sensor_s_older_kind_is_as_none(platform: Platform, batch: list[str]) -> None:
    platform.materialize(*batch)
    older = '{"__class__": "RunStatusSensorCursor", "record_id": 9, "update_timestamp": "2026-01-01T00:00:00"}'
    assert asked(Splitter(platform, older).tick()) == SPLIT


@pytest.mark.parametrize(
    ("tags", "expected"),
    [({}, [["a.mp4", "c.mp4"]]), ({AGAIN_TAG: "the run before"}, [["a.mp4"], ["b.mp4"], ["c.mp4"]])],
)
def test_a_batch_that_died_without_a_word_is_asked_for_once_more_and_then_split(
    platform: Platform, batch: list[str], tags: dict[str, str], expected: list[list[str]]
) -> None:
    tags = {"dagster/asset_partition_range_start": "a.mp4", "dagster/asset_partition_range_end": "c.mp4", **tags}
    die(platform, "match_texts", tags)
    result = split(platform)
    assert asked(result) == [(keys, ["text_match"]) for keys in expected]
    assert {request.job_name for request in result.run_requests} == {"match_texts"}


def test_what_a_run_with_a_pod_of_its_own_left_is_asked_for_on_such_a_pod(platform: Platform, batch: list[str]) -> None:
    pod = {"dagster-k8s/config": '{"container_config": {"resources": {"limits": {"nvidia.com/gpu": 2}}}}'}
    die(platform, "match_texts", {**partition_tags(batch), **pod, "docker/image": "of before"})
    (request,) = split(platform).run_requests
    assert request.tags == {**partition_tags(batch), **pod, AGAIN_TAG: request.tags[AGAIN_TAG]}


def test_a_video_whose_own_run_died_twice_is_not_asked_for_for_ever(platform: Platform, batch: list[str]) -> None:
    die(platform, "match_texts", {"dagster/partition": "a.mp4", AGAIN_TAG: "the run before"})
    assert asked(split(platform)) == []


@pytest.mark.parametrize("keys", [["a.mp4"], ["a.mp4", "e.mp4"]])
def test_what_never_began_is_asked_for_again_as_it_was(platform: Platform, batch: list[str], keys: list[str]) -> None:
    die(platform, "match_texts", {**partition_tags(keys), AGAIN_TAG: "the run before"}, begun=False)
    assert asked(split(platform)) == [(keys, ["text_match"])]


def test_a_batch_that_failed_for_want_of_a_model_is_not_split(platform: Platform) -> None:
    for key in ("a.mp4", "b.mp4"):
        corpus.single_frame(platform.videos / key)
    platform.add("a.mp4", "b.mp4")
    platform.change(checkpoint=platform.folder / "missing.pth")
    failed = platform.materialize("a.mp4", "b.mp4")
    result = split(platform)
    assert asked(result) == []
    message = f"run {failed.run_id} failed for a reason that every video shares; it isn't split"
    assert result.skip_reason.skip_message == message
