"""What ``clip-assets run`` says: a bar and a table for a person, plain lines in a pipe, JSON for a program."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from clip_assets.orchestration.in_process import Listener
from clip_assets.orchestration.run_plan import Plan, Task
from clip_assets.progress_bar import ProgressBar
from clip_assets.results.assets import PER_VIDEO

NAMED = 3
"""Videos that a line names; of the others it gives the number."""


def plan_in_words(plan: Plan) -> str:
    """One line: how many videos are to be done, in which states, and what becomes of the others."""
    states = Counter(task.state for task in plan.tasks)
    words = [f"{len(plan.tasks)} {'video' if len(plan.tasks) == 1 else 'videos'} to do"]
    words += [": ", ", ".join(f"{count} {state}" for state, count in states.items())] if states else []
    others = [
        f"{plan.done} done" if plan.done else "",
        f"{len(plan.gone)} gone ({named(plan.gone)})" if plan.gone else "",
        f"{len(plan.as_before)} failed, and nothing has changed since (again: clip-assets run --failed)"
        if plan.as_before
        else "",
    ]
    return "".join(words) + "".join(f"; {other}" for other in others if other) + "."


def plan_lines(plan: Plan, *, as_json: bool) -> Iterator[str]:
    """A line for each video that is to be done: what is to be computed of it, and why."""
    for task in plan.tasks:
        if as_json:
            yield _json(key=task.key, state=task.state, reason=task.reason, assets=task.assets)
        else:
            why = f"{task.state}: {task.reason}" if task.reason else task.state
            yield f"{task.key}: {what_is_computed(task)} ({why})"


def what_is_computed(task: Task) -> str:
    """The assets of a video that are computed."""
    return "everything" if len(task.assets) == len(PER_VIDEO) else ", ".join(task.assets)


def named(keys: Sequence[str]) -> str:
    """The first few keys, and how many there are beyond."""
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more


class Report(Listener):
    """Says what becomes of each video as it is known.

    Attributes:
        plan: What was to be done.
        as_json: Whether to say it for a program.
        counts: Number of videos by what became of them: ``done``, ``failed``, ``held`` by another run.
        bar: Shown while it is entered, to whoever looks.
    """

    def __init__(self, plan: Plan, *, as_json: bool) -> None:
        self.plan = plan
        self.as_json = as_json
        self.counts: Counter[str] = Counter()
        self._failed: dict[str, str] = {}
        self._waited_for: list[str] = []
        self._frames = 0
        self._began = time.monotonic()
        self.bar = ProgressBar(len(plan.tasks))

    def will_encode(self, videos: int, frames: int) -> None:
        """Tell the bar."""
        self.bar.looked_at(frames, videos)

    def encoded(self, frames: int) -> None:
        """Tell the bar."""
        self._frames += frames
        self.bar.encoded(frames)

    def done(self, key: str, frames: int | None) -> None:
        """A line, but not for a person, who has the bar."""
        line = "" if sys.stdout.isatty() else f"done: {key}: {frames} frames"
        self._came_of_it("done", {"key": key, "state": "done", "frames": frames}, line)

    def failed(self, key: str, reason: str) -> None:
        """A line as it happens."""
        self._failed[key] = " ".join(reason.split())
        fields = {"key": key, "state": "failed", "reason": reason}
        self._came_of_it("failed", fields, f"failed: {key}: {self._failed[key]}")

    def left(self, key: str) -> None:
        """A line: nothing is wrong."""
        self._came_of_it("held", {"key": key, "state": "held"}, f"left: {key}: another run computes it")

    def waits(self, keys: Sequence[str]) -> None:
        """A line, once for the same videos."""
        if list(keys) != self._waited_for:
            self._waited_for = list(keys)
            self.note(f"Waits until nobody writes any more to {named(keys)}.")

    def note(self, line: str) -> None:
        """A line on standard error that isn't the result of one video."""
        with self.bar.paused():
            sys.stderr.write(f"{line}\n")

    def summary(self) -> None:
        """A table of what became of the videos, and again which failed and why."""
        if self.as_json:
            return
        seconds = max(time.monotonic() - self._began, 1e-9)
        speed = f"{self._frames} frames, {self._frames / seconds:.1f} a second" if self._frames else ""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(justify="right")
        table.add_row(str(self.counts["done"]), "done", f"in {timedelta(seconds=round(seconds))}", speed)
        for state, words in (("failed", "failed"), ("held", "left to another run")):
            if count := self.counts[state]:
                table.add_row(str(count), words)
        if not_begun := len(self.plan.tasks) - self.counts.total():
            table.add_row(str(not_begun), "not done")
        Console().print(table)
        if sys.stdout.isatty():  # in a pipe they weren't lost among others
            for key, reason in self._failed.items():
                sys.stdout.write(f"failed: {key}: {reason}\n")

    def _came_of_it(self, state: str, fields: Mapping[str, Any], line: str) -> None:
        self.counts[state] += 1
        with self.bar.paused():
            if said := _json(**fields) if self.as_json else line:
                sys.stdout.write(f"{said}\n")
                sys.stdout.flush()
        self.bar.video_done(failed=state == "failed")


def _json(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False)
