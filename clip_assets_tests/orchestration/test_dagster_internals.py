"""What is taken from Dagster's private API is what Dagster itself does, and without it the public ways hold."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from sqlalchemy.event import listen, remove
from sqlalchemy.pool import Pool

from clip_assets.core.errors import ResultMissingError, SettingsError
from clip_assets.core.matching import match_texts
from clip_assets.orchestration import dagster_internals, dagster_storage
from clip_assets.orchestration.dagster_internals import close_connections, keep_connections, limit_pool
from clip_assets.orchestration.dagster_launching import execution_arguments, execution_command, run_of_arguments
from clip_assets.orchestration.instance import open_instance
from clip_assets.orchestration.partitions import version_events
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import Platform, make_platform, platform_of_single_frames

pytestmark = pytest.mark.dagster_bounds

KEYS = ("a.mp4", "b.mp4")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with platform_of_single_frames(tmp_path, KEYS) as made:
        yield made


def tags(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dict[str, str]]:
    """What each partition's materialization says of itself, without what is another in each run."""
    events = result.asset_materializations_for_node(asset)
    return {
        event.partition: {
            name: value
            for name, value in event.tags.items()
            if "event_pointer" not in name and name != "dagster/data_version"
        }
        for event in events
    }


def without_private_api(function: str) -> Any:
    """A patch of the IO manager: one of our functions finds nothing private in Dagster."""
    real = getattr(dagster_internals, function)

    def call(context: dg.OutputContext, *arguments: Any) -> Any:
        return real(SimpleNamespace(asset_key=context.asset_key, step_context=object()), *arguments)

    return patch(f"clip_assets.orchestration.io_managers.{function}", call)


def fail_at_b() -> Any:
    keys = iter(KEYS)

    def match(*arguments: Any) -> Any:
        if next(keys) == "b.mp4":
            raise ResultMissingError("gone")
        return match_texts(*arguments)

    return patch("clip_assets.orchestration.assets.text_match.match_texts", match)


def test_what_a_failing_step_records_says_what_dagster_would_have_said(platform: Platform) -> None:
    with fail_at_b():
        failed = platform.materialize(*KEYS)
    assert not failed.success
    recorded = tags(failed, "text_match")
    assert set(recorded) == {"a.mp4"}
    succeeded = platform.materialize(*KEYS)
    assert succeeded.success
    assert recorded["a.mp4"] == tags(succeeded, "text_match")["a.mp4"]
    assert recorded["a.mp4"]["dagster/input_data_version/clip_features"]


def test_without_private_provenance_the_data_version_is_recorded(platform: Platform) -> None:
    with fail_at_b(), without_private_api("provenance_tags"):
        failed = platform.materialize(*KEYS)
    assert not failed.success
    (event,) = failed.asset_materializations_for_node("text_match")
    assert event.tags["dagster/data_version"] == platform.store.manifest("text_match", "a.mp4").data_version


def test_without_private_metadata_each_partition_still_has_its_own(platform: Platform) -> None:
    corpus.constant_rate(platform.videos / "b.mp4")
    with without_private_api("add_partition_metadata"):
        result = platform.materialize(*KEYS)
    assert result.success
    for asset in ("frame_indices", "clip_features"):
        events = result.asset_materializations_for_node(asset)
        assert {e.partition: e.metadata["sampled_frames"].value for e in events} == {"a.mp4": 1, "b.mp4": corpus.FRAMES}


VIDEO = dg.AssetKey("video")
EVENTS = [event for key in KEYS for event in version_events(VIDEO, key, f"content of {key}")]


def told(instance: dg.DagsterInstance) -> list[Any]:
    """All that Dagster says of the videos, the times aside."""
    asked = dg.AssetRecordsFilter(VIDEO)
    records = [*instance.fetch_observations(asked, 9).records, *instance.fetch_materializations(asked, 9).records]
    storage = instance.event_log_storage
    kinds = (dg.DagsterEventType.ASSET_OBSERVATION, dg.DagsterEventType.ASSET_MATERIALIZATION)
    (known,) = instance.get_asset_records([VIDEO])
    newest = known.asset_entry.last_materialization_record
    assert newest is not None
    return [
        [(record.storage_id, record.event_log_entry._replace(timestamp=0)) for record in records],
        [storage.get_latest_tags_by_partition(VIDEO, kind, ["dagster/data_version"]) for kind in kinds],
        instance.get_materialized_partitions(VIDEO),
        (newest.storage_id, newest.event_log_entry._replace(timestamp=0), known.asset_entry.last_run_id),
    ]


def report_each(instance: dg.DagsterInstance, events: Sequence[Any]) -> None:
    for event in events:
        instance.report_runless_asset_event(event)


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_events_that_are_recorded_together_are_what_dagster_records_one_by_one(
    tmp_path: Path, *, is_on_disk: bool
) -> None:
    said = []
    for name, report in (("together", dagster_storage.report_together), ("each", report_each)):
        (tmp_path / name).mkdir()
        local = dg.DagsterInstance.local_temp(str(tmp_path / name))
        with local if is_on_disk else dg.DagsterInstance.ephemeral() as instance:
            report(instance, EVENTS)
            report(instance, [])
            said.append(told(instance))
    assert said[0] == said[1]
    assert len(said[0][0]) == 4


def test_a_storage_of_another_kind_is_told_one_by_one() -> None:
    heard: list[Any] = []
    other: Any = SimpleNamespace(event_log_storage=object(), report_runless_asset_event=heard.append)
    dagster_storage.report_together(other, EVENTS)
    assert heard == EVENTS


def test_registering_many_videos_takes_no_transaction_for_each(platform: Platform) -> None:
    keys = [f"{number}.mp4" for number in range(50)]
    for key in keys:
        (platform.videos / key).write_text(key)
    storage = platform.instance.event_log_storage
    with patch.object(storage, "index_connection", wraps=storage.index_connection) as connections:
        platform.add(*keys)
    assert connections.call_count < len(keys) / 2  # as many for any number of videos: 7, with the oldest Dagster 10
    assert platform.instance.get_materialized_partitions(VIDEO) == {*KEYS, *keys}
    assert platform.registered() == [*KEYS, *keys]


@contextmanager
def connections() -> Iterator[Counter[str]]:
    """How many are opened to databases meanwhile."""
    opened: Counter[str] = Counter()

    def count(connection: object, record: object) -> None:
        opened["all"] += 1

    listen(Pool, "connect", count)
    try:
        yield opened
    finally:
        remove(Pool, "connect", count)


def test_a_run_keeps_its_connections_and_what_it_records_is_there_for_others(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance, connections() as opened:
        platform = make_platform(tmp_path, instance)
        platform.change(pictures="off")
        corpus.single_frame(platform.videos / "a.mp4")
        platform.add("a.mp4")
        first = platform.materialize("a.mp4")
        opened.clear()
        second = platform.materialize("a.mp4")
        events = instance.all_logs(second.run_id)
        assert opened["all"] <= len(events) + 10  # one to the run's own database for each
        close_connections(instance)
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as other:
        assert [event.message for event in other.all_logs(second.run_id)] == [event.message for event in events]
        assert {run.run_id for run in other.get_runs()} == {first.run_id, second.run_id}
        assert other.get_materialized_partitions(dg.AssetKey("shots")) == {"a.mp4"}


def test_an_event_alters_the_file_of_its_run_at_once_by_which_the_ui_sees_it(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        keep_connections(instance)
        run = instance.create_run_for_job(dg.job(name="any")(lambda: None))
        instance.report_engine_event("none", run)
        (file,) = tmp_path.rglob(f"{run.run_id}.db")
        for message in ("one", "two"):
            before = file.read_bytes()
            instance.report_engine_event(message, run)
            assert file.read_bytes() != before
        close_connections(instance)


def test_a_package_that_the_instance_asks_for_and_that_isnt_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: {postgres: {postgres_url: 'postgresql://a/b'}}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "dagster_postgres", None)
    with pytest.raises(SettingsError, match=r"pip install 'clip_assets\[postgres\]'"), open_instance():
        pass


def test_a_pool_has_the_limit_1_unless_the_instance_has_one_for_all(tmp_path: Path) -> None:
    limits = []
    for pools in ({}, {"default_limit": 2}):
        folder = tmp_path / str(len(pools))
        folder.mkdir()
        overrides = {"concurrency": {"pools": pools}}
        with dg.instance_for_test(temp_dir=str(folder), overrides=overrides) as instance:
            limit_pool(instance, "gpu")
            limits.append(instance.event_log_storage.get_concurrency_keys())
    assert limits == [{"gpu"}, set()]


def test_what_is_sent_to_who_executes_a_run_names_it_and_holds_nothing_of_the_instance() -> None:
    origin = JobPythonOrigin("job", RepositoryPythonOrigin("python", ModuleCodePointer("module", "name", None)))
    run = dg.DagsterRun("job", job_code_origin=origin)
    packed = execution_arguments(run)
    assert run_of_arguments(packed) == run.run_id
    assert packed["instance_ref"] is None
    *command, arguments = execution_command(run, set_exit_code_on_failure=None)
    assert command == ["python", "-m", "dagster", "api", "execute_run"]
    assert run_of_arguments(json.loads(arguments)) == run.run_id
    assert json.loads(arguments)["instance_ref"] is None
