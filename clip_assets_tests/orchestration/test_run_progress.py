"""Lines of progress in a run's log."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from clip_assets.orchestration.run_progress import Progress
from clip_assets.project import INSTANCE_SETTINGS


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_every_few_seconds_tells_videos_frames_speed_and_time_left() -> None:
    lines: list[str] = []
    clock = Clock()
    progress = Progress(lines.append, videos=3, frames=400, clock=clock)
    for _ in range(10):
        clock.now += 1.0
        progress.add_frames(10)
    progress.add_video()
    assert lines == [
        "0 of 3 videos, 50 of 400 frames, 10.0 frames/s, about 0:00:35 left",
        "0 of 3 videos, 100 of 400 frames, 10.0 frames/s, about 0:00:30 left",
    ]


def test_where_frames_are_not_counted_videos_tell_the_time_left() -> None:
    lines: list[str] = []
    clock = Clock()
    progress = Progress(lines.append, videos=4, clock=clock)
    clock.now += 6.0
    progress.add_video()
    assert lines == ["1 of 4 videos, about 0:00:18 left"]


def test_short_work_says_nothing() -> None:
    lines: list[str] = []
    progress = Progress(lines.append, videos=1, frames=10)
    progress.add_frames(10)
    progress.add_video()
    assert lines == []


def test_a_run_tells_the_terminal_how_far_it_is_and_the_ui_its_events(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    @dg.asset
    def numbers() -> None:
        dg.get_dagster_logger().info("1 of 2 videos")

    shutil.copy(INSTANCE_SETTINGS, tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = dg.materialize([numbers], instance=instance)
        events = {entry.dagster_event_type for entry in instance.all_logs(run.run_id) if entry.dagster_event_type}
    assert {dg.DagsterEventType.STEP_START, dg.DagsterEventType.ASSET_MATERIALIZATION} < events
    (line,) = [line for line in "".join(capfd.readouterr()).splitlines() if " - dagster - " in line]
    assert line.endswith("1 of 2 videos")
