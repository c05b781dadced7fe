"""What is told of runs at work: where, since when, how far, and when all will be done."""

from __future__ import annotations

import platform as host
from pathlib import Path

import dagster as dg

from clip_assets.orchestration.at_work import AtWork, RunAtWork, at_work
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.orchestration.run_liveness import Heard, Pulse

KEYS = [f"{name}.mp4" for name in "abcdef"]


def add(instance: dg.DagsterInstance, *keys: str, job: str = "extract_clip_features", begun: bool = True) -> str:
    run = instance.add_run(dg.DagsterRun(job, tags=partition_tags(keys)))
    if begun:
        tell(instance, dg.DagsterEventType.RUN_START, run.run_id)
    return run.run_id


def tell(instance: dg.DagsterInstance, kind: dg.DagsterEventType, run_id: str) -> None:
    instance.report_dagster_event(dg.DagsterEvent(kind.value, job_name="extract_clip_features"), run_id)


def test_runs_at_work_say_where_they_are_and_how_far_and_those_before_them_tell_how_long_it_takes(
    tmp_path: Path,
) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        instance.add_dynamic_partitions("videos", KEYS)
        assert at_work(instance, LibraryNames()) == AtWork([], 0, 0, None)
        add(instance, "a.mp4", job="another_job")
        begun = add(instance, "a.mp4", "b.mp4")
        add(instance, "c.mp4", "f.mp4", begun=False)
        pulse = Pulse.of(instance, begun)
        pulse.says = "clip_features: 1 of 2 videos"
        pulse.beat()
        found = at_work(instance, LibraryNames())
        pulse.stop()
        assert [(run.run_id, run.videos) for run in found.runs] == [(begun, 2)]
        assert (found.runs[0].heard.host, found.runs[0].heard.says) == (host.node(), "clip_features: 1 of 2 videos")
        assert (found.queued, found.queued_videos, found.seconds_left) == (1, 4, None)
        tell(instance, dg.DagsterEventType.RUN_SUCCESS, add(instance, "a.mp4"))
        left = at_work(instance, LibraryNames()).seconds_left
        assert left is not None
        assert left >= 0


def test_it_is_said_in_lines() -> None:
    runs = [RunAtWork("9969059e-15bb", Heard("gpu-1", 4711, "3 of 16 videos"), 16, 1_000_000_000.0)]
    assert list(AtWork(runs, 3, 48, 750.4).lines(1_000_000_130.0)) == [
        "1 run at work, 3 queued with 48 videos; done in about 0:12:30.",
        "gpu-1, process 4711: 16 videos since 2001-09-09 01:46:40 UTC (0:02:10): 3 of 16 videos [run 9969059e]",
    ]
    waiting = list(AtWork([], 1, 2, None).lines(0.0))
    assert waiting[0] == "0 runs at work, 1 queued with 2 videos."
    assert "worker" in waiting[1]
    assert list(AtWork([], 0, 0, None).lines(0.0)) == ["No run is at work, and none is queued."]
