"""Which runs compute a library's videos, on which host, since when, how far they are, and when all will be done."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from clip_assets.orchestration.instance import UNFINISHED, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import KeysOfRuns
from clip_assets.orchestration.run_liveness import Heard, heard, is_abandoned

_RECENT_RUNS = 20
"""Of those that succeeded the last ones, from which is reckoned how long a video takes."""


@dataclass(frozen=True)
class RunAtWork:
    """A run that has begun.

    Attributes:
        run_id: Its id.
        heard: Where its process is, and how far.
        videos: How many it is for.
        since: When it began, seconds since 1970.
    """

    run_id: str
    heard: Heard
    videos: int
    since: float


@dataclass(frozen=True)
class AtWork:
    """The runs of a library that haven't ended.

    Attributes:
        runs: Those that have begun, the first one first.
        queued: How many haven't.
        queued_videos: How many videos these are for.
        seconds_left: Until all of them have ended, by what the last runs took for a video and as many runs at once as
            there are; None where nobody knows.
    """

    runs: Sequence[RunAtWork]
    queued: int
    queued_videos: int
    seconds_left: float | None

    def lines(self, now: float) -> Iterator[str]:
        """In words, the whole first; ``now`` is in seconds since 1970."""
        if not self.runs and not self.queued:
            yield "No run is at work, and none is queued."
            return
        queued = f", {self.queued} queued with {_videos(self.queued_videos)}" if self.queued else ""
        left = "" if self.seconds_left is None else f"; done in about {timedelta(seconds=round(self.seconds_left))}"
        yield f"{len(self.runs)} run{'' if len(self.runs) == 1 else 's'} at work{queued}{left}."
        if not self.runs:
            yield "What is queued waits for Dagster's daemon (clip-assets dev), or else for a worker to be free."
        for run in self.runs:
            where = f"{run.heard.host}, process {run.heard.process}" if run.heard.host else "somewhere"
            began = datetime.fromtimestamp(run.since, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
            passed = timedelta(seconds=round(max(now - run.since, 0)))
            says = f": {run.heard.says}" if run.heard.says else ""
            yield f"{where}: {_videos(run.videos)} since {began} UTC ({passed}){says} [run {run.run_id[:8]}]"


def at_work(instance: dg.DagsterInstance, names: LibraryNames) -> AtWork:
    """The runs of a library that haven't ended, save those whose process is gone."""
    records = [
        record
        for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED), ascending=True)
        if names.assets_of(record.dagster_run) and not is_abandoned(instance, record.dagster_run)
    ]
    if not records:  # which of very many videos they are for, nobody need be told
        return AtWork([], 0, 0, None)
    keys_of = KeysOfRuns(registered(instance, names))

    def videos(run: dg.DagsterRun) -> int:
        return len(keys_of(run.tags))

    begun = [(record.dagster_run, record.start_time) for record in records if record.start_time is not None]
    told = heard(instance, [run.run_id for run, _ in begun])
    runs = [RunAtWork(run.run_id, told.get(run.run_id, Heard()), videos(run), since) for run, since in begun]
    queued = [videos(record.dagster_run) for record in records if record.start_time is None]
    ended = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=_RECENT_RUNS)
    took = _seconds_of_a_video([record for record in ended if names.assets_of(record.dagster_run)], videos)
    return AtWork(runs, len(queued), sum(queued), _seconds_left(runs, sum(queued), took) if took else None)


def _seconds_of_a_video(ended: Sequence[dg.RunRecord], videos: Callable[[dg.DagsterRun], int]) -> float | None:
    """How long runs that have ended took for a video, all in all; None where there are none."""
    counted = sum(videos(record.dagster_run) for record in ended)
    seconds = sum((record.end_time or 0.0) - (record.start_time or 0.0) for record in ended)
    return seconds / counted if counted else None


def _seconds_left(runs: Sequence[RunAtWork], queued_videos: int, took: float) -> float | None:
    """Until all are done, where a video takes so many seconds; None where nobody is at work."""
    now = time.time()
    seconds = sum(max(run.videos * took - (now - run.since), 0.0) for run in runs) + queued_videos * took
    return seconds / len(runs) if runs else None


def _videos(count: int) -> str:
    return f"{count} video{'' if count == 1 else 's'}"
