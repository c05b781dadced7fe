"""Runs in this process: any videos together, claimed so that nobody else computes them meanwhile."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import dagster as dg
from filelock import FileLock

from clip_assets.advice import PLATFORM, explain
from clip_assets.core.errors import ClipAssetsError, VideoError
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.failures import is_every_video_s_fault, reason
from clip_assets.orchestration.instance import held_keys, report_versions
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import materialized_version, scattered_tags
from clip_assets.orchestration.run_plan import Task, is_being_written, lacking
from clip_assets.orchestration.run_progress import Follower, followed_by
from clip_assets.results.states import video_states
from clip_assets.settings import LibrarySettings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""What happens is told by the listener; Dagster's own words are in the run."""

SECONDS_BETWEEN_LOOKS = 0.5
"""From one look whether a file is still written to, to the next."""


class RunFailedError(ClipAssetsError):
    """A run failed for a reason that every video shares."""


class Listener:
    """Hears how far the runs are; this one ignores it."""

    def will_encode(self, videos: int, frames: int) -> None:
        """So many frames of so many videos are to be encoded."""

    def encoded(self, frames: int) -> None:
        """So many more are encoded."""

    def done(self, key: str, frames: int | None) -> None:
        """Everything is there for a video of so many sampled frames."""

    def failed(self, key: str, reason: str) -> None:
        """There is no result for a video."""

    def left(self, key: str) -> None:
        """Another run holds a video, which is left to it."""

    def waits(self, keys: Sequence[str]) -> None:
        """Nothing is left to do but videos that are still written to."""


@dataclass
class Execution(Follower):
    """Executes tasks, run after run.

    Attributes:
        instance: Where the runs are recorded.
        settings: The deployment's.
        listener: Hears of it.
        stop: Whether to end after the present video.
    """

    instance: dg.DagsterInstance
    settings: LibrarySettings
    listener: Listener
    stop: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self._names = LibraryNames.of(self.settings)
        self._claiming = FileLock(Path(self.instance.storage_directory()) / "clip_assets_run.lock")
        self._failed: set[str] = set()
        self._run_id = ""

    def execute(self, tasks: Iterable[Task]) -> None:
        """Compute what is lacking, until all is there or failed; the listener hears of each video once.

        Raises:
            RunFailedError: For a reason that every video shares; what is stored is recorded.
        """
        pending = {task.key: task for task in tasks}
        first: dict[str, Task] = {}
        while (first or pending) and not self.stop():
            batch = self._next_batch(chain(first.values(), pending.values()))
            for task in batch:
                first.pop(task.key, None)
                pending.pop(task.key, None)
            if batch:
                first = {**{task.key: task for task in self._run(batch)}, **first}
            else:
                self.listener.waits([*first, *pending])
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def run_began(self, run_id: str) -> None:
        """Others see the run, and what it holds."""
        self._run_id = run_id
        self._claiming.release()

    def will_encode(self, videos: int, frames: int) -> None:
        """Pass it on."""
        self.listener.will_encode(videos, frames)

    def encoded(self, frames: int) -> None:
        """Pass it on."""
        self.listener.encoded(frames)

    def failed(self, key: str, error: Exception) -> None:
        """Pass it on, and remember it."""
        if key not in self._failed:
            self._failed.add(key)
            self.listener.failed(key, explain(error, PLATFORM))

    def is_to_stop(self) -> bool:
        """Whether it is; then Dagster is told that the run ends by somebody's wish."""
        if not self.stop():
            return False
        run = self.instance.get_run_by_id(self._run_id)
        if run and run.status != dg.DagsterRunStatus.CANCELING:
            self.instance.report_run_canceling(run)
        return True

    def _next_batch(self, tasks: Iterable[Task]) -> list[Task]:
        """The videos of the next run: they lack the same, and nobody writes to them."""
        batch: list[Task] = []
        for task in tasks:
            if len(batch) == self.settings.videos_per_run or (batch and batch[0].is_alone):
                break
            goes_along = not batch or (task.assets == batch[0].assets and not task.is_alone)
            if goes_along and not is_being_written(self.settings.source, task.key, self.settings.settle_seconds):
                batch.append(task)
        return batch

    def _run(self, batch: Sequence[Task]) -> list[Task]:
        """Execute one run for videos that lack the same; what is left to do for them."""
        self._claiming.acquire()
        try:
            free, changed = self._free(batch)
            if not free:
                return changed
            result = self._execute(free)
        finally:
            self._claiming.release()
        return [*self._left([task for task in free if task.key not in self._failed], result), *changed]

    def _free(self, batch: Sequence[Task]) -> tuple[list[Task], list[Task]]:
        """The videos that nobody holds and that still lack what they lacked; and those that lack something else."""
        held = held_keys(self.instance, self._names)
        for task in batch:
            if task.key in held:
                self.listener.left(task.key)
        left = self._compare([task for task in batch if task.key not in held])
        free = [task for before, task in left if task.assets == before.assets]
        return free, [task for before, task in left if task.assets != before.assets]

    def _compare(self, tasks: Sequence[Task]) -> list[tuple[Task, Task]]:
        """The tasks that aren't done, each as it was and as it is by now; the listener hears of the others."""
        left = []
        states = video_states(self.settings, [task.key for task in tasks], {})
        for task, status in zip(tasks, states, strict=True):
            if status.state == "gone":
                self.listener.failed(task.key, "it was taken away")
            elif assets := lacking(status):
                left.append((task, replace(task, assets=assets)))
            else:
                self.listener.done(task.key, status.frames)
        return left

    def _execute(self, tasks: Sequence[Task]) -> dg.ExecuteInProcessResult:
        keys = [task.key for task in tasks]
        self._report_versions(keys)
        definitions = build_definitions(self.settings, dg.StaticPartitionsDefinition(keys))
        with followed_by(self):
            return definitions.resolve_job_def(self._names("extract_clip_features")).execute_in_process(
                instance=self.instance,
                asset_selection=self._names.keys(tasks[0].assets),
                partition_key=keys[0] if len(keys) == 1 else None,
                tags=scattered_tags(keys),
                run_config=QUIET,
                raise_on_error=False,
            )

    def _report_versions(self, keys: Sequence[str]) -> None:
        """Tell Dagster of videos that changed, so that it knows what their results are made from."""
        changed = {}
        for key in keys:
            with suppress(VideoError):  # which the run will say
                version = self.settings.source.fingerprint(key)
                if materialized_version(self.instance, self._names.videos, key) != version:
                    changed[key] = version
        report_versions(self.instance, self._names, changed)

    def _left(self, tasks: Sequence[Task], result: dg.ExecuteInProcessResult) -> list[Task]:
        """What is left to do after a run for the videos of which it doesn't say that they failed.

        They lack what comes after the step that failed for others. Where a run did nothing for any, and says of none
        that it is at fault, each is tried alone. What `failed_batches` does for runs of Dagster's daemon.
        """
        steps = [event for event in result.all_events if event.is_step_failure]
        compared = self._compare(tasks)
        if is_every_video_s_fault(steps):
            raise RunFailedError(reason(steps))
        if self.stop():
            return []
        left = []
        for before, task in compared:
            if task.assets != before.assets:
                left.append(task)
            elif not before.is_alone:
                left.append(replace(task, is_alone=True))
            else:
                self.listener.failed(task.key, reason(steps) or "its results aren't what the settings ask for")
        return left
