"""A run whose process was killed is told from one that works, that has ended, or that gives no sign, on any host."""

from __future__ import annotations

import platform as host
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from clip_assets.core.store import Store
from clip_assets.orchestration import run_liveness
from clip_assets.orchestration.dagster_storage import InstancePages
from clip_assets.orchestration.instance import end_abandoned_runs, held_keys
from clip_assets.orchestration.run_liveness import Pulse, Sign, Watch, is_abandoned, signs_folder
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import Platform, make_platform
from clip_assets_tests.making.server import wait_until
from clip_assets_tests.orchestration.test_failed_batches import asked, split

needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="files can't be locked so")

HOLD = "import sys, time; from pathlib import Path; from clip_assets.orchestration.run_liveness import Sign; "
HOLD += "sign = Sign(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One that other processes could open."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def begun(instance: dg.DagsterInstance, **told: Any) -> dg.DagsterRun:
    """A run that has begun."""
    return instance.add_run(dg.DagsterRun("job", status=dg.DagsterRunStatus.STARTED, **told))


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@needs_locks
def test_a_killed_process_of_this_host_has_abandoned_its_run_at_once_and_a_living_one_has_not(
    instance: dg.DagsterInstance,
) -> None:
    run = begun(instance)
    folder = signs_folder(instance, run.run_id)
    process = holder(folder)
    try:
        assert not is_abandoned(instance, run)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert is_abandoned(instance, run)
    sign = Sign(folder)
    assert not is_abandoned(instance, run), "another process has taken over"
    sign.take_down()
    assert is_abandoned(instance, run)


@needs_locks
def test_work_that_ended_or_never_gave_a_sign_is_not_abandoned(instance: dg.DagsterInstance) -> None:
    run = begun(instance)
    assert not is_abandoned(instance, run)
    Sign(signs_folder(instance, run.run_id)).take_down()
    assert not is_abandoned(instance, run)


@pytest.mark.dagster_bounds
def test_a_run_gives_signs_while_it_works_and_none_afterwards(
    instance: dg.DagsterInstance, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def during() -> None:
        (run,) = instance.get_runs()
        seen.append(len(list(signs_folder(instance, run.run_id).glob(f"{host.node()}-*.alive"))))
        seen.append(len(pulses(instance).read([run.run_id])))

    before_each_write(monkeypatch, during)
    result = platform.materialize("a.mp4", assets=["frame_indices"])
    assert seen == [sys.platform != "win32", 1]
    assert list(signs_folder(instance, result.run_id).glob("*")) == []
    assert pulses(instance).read([result.run_id]) == {}
    assert not Pulse._beating


@pytest.mark.dagster_bounds
def test_a_pulse_of_another_host_that_stays_the_same_for_half_a_minute_ends_the_run(
    instance: dg.DagsterInstance, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 5))
    monkeypatch.setitem(run_liveness._watches, instance, Watch(lambda: next(clock)))
    run = begun(instance, tags={"dagster/partition": "a.mp4"})
    pulses(instance).write(run.run_id, "1")
    assert [is_abandoned(instance, run) for _ in range(5)] == [False] * 5
    pulses(instance).write(run.run_id, "2")
    assert [is_abandoned(instance, run) for _ in range(5)] == [False] * 5
    assert held_keys(instance, platform.names) == {"a.mp4"}  # 25 seconds
    assert held_keys(instance, platform.names) == set()
    end_abandoned_runs(instance)
    assert [ended.status for ended in instance.get_runs()] == [dg.DagsterRunStatus.FAILURE]


def test_silence_is_counted_only_while_the_watch_could_look() -> None:
    clock = [0.0]
    watch = Watch(lambda: clock[0])

    def look(seconds: float, read: Callable[[], str | None] = lambda: "1") -> bool:
        clock[0] += seconds
        return watch.is_silent("run", read)

    def unreachable() -> str:
        raise ConnectionError

    assert not look(0)
    assert not look(3600), "suspended, and the run perhaps as well"
    assert not look(10)
    assert look(10)
    with pytest.raises(ConnectionError):
        look(5, unreachable)
    assert not look(100), "the run couldn't write either"
    assert [look(10) for _ in range(3)] == [False, False, True]
    assert not look(10, lambda: "2")
    assert not look(1000, lambda: None), "it has ended"


def test_a_pulse_goes_on_when_its_database_was_away(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(instance)
    monkeypatch.setattr(run_liveness, "PULSE_SECONDS", 0.01)
    pulse = Pulse.of(instance, run.run_id)
    assert Pulse.of(instance, run.run_id) is pulse
    with monkeypatch.context() as away:
        failed: list[str] = []

        def fail(*of: object) -> None:
            failed.append("once more")
            raise ConnectionError

        away.setattr(InstancePages, "write", fail)
        wait_until(lambda: len(failed) > 1, 10, "beats")
    before = pulses(instance).read([run.run_id])
    wait_until(lambda: pulses(instance).read([run.run_id]) != before, 10, "a beat")
    pulse.stop()
    assert pulses(instance).read([run.run_id]), "who else works on the run goes on"
    pulse.stop()
    assert pulses(instance).read([run.run_id]) == {}


def test_a_run_that_was_taken_for_failed_stops_at_its_next_video_and_the_rest_is_asked_for_together(
    instance: dg.DagsterInstance, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_and_beat() -> None:
        (run,) = instance.get_runs()
        instance.report_run_failed(run)
        Pulse._beating[run.run_id].beat()

    before_each_write(monkeypatch, fail_and_beat)
    platform.materialize("a.mp4", "b.mp4", "c.mp4")
    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE
    stored = [key for key in ("a.mp4", "b.mp4", "c.mp4") if platform.store.manifest("frame_indices", key)]
    assert stored == ["a.mp4"]
    assert instance.get_materialized_partitions(dg.AssetKey("frame_indices")) == {"a.mp4"}
    assert asked(split(platform)) == [
        (["a.mp4"], ["clip_features", "shots", "text_match"]),
        (["b.mp4", "c.mp4"], ["frame_indices", "clip_features", "shots", "text_match"]),
    ]


@pytest.fixture
def platform(instance: dg.DagsterInstance, tmp_path: Path) -> Platform:
    """Three registered videos."""
    made = make_platform(tmp_path, instance)
    for name in "abc":
        corpus.single_frame(made.videos / f"{name}.mp4")
    made.add("a.mp4", "b.mp4", "c.mp4")
    return made


def pulses(instance: dg.DagsterInstance) -> InstancePages[str]:
    return InstancePages(instance, "pulse")


def before_each_write(monkeypatch: pytest.MonkeyPatch, do: Callable[[], None]) -> None:
    """Whenever a result is stored."""
    write = Store.write

    def doing(*arguments: Any, **told: Any) -> Any:
        do()
        return write(*arguments, **told)

    monkeypatch.setattr(Store, "write", doing)
