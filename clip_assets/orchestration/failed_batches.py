"""One look at the runs that failed: what the sensor `split_failed_batches` asks for, and what happened in words.

A run is taken up once. What its videos still lack is asked for: those that failed each on its own, so that it is red
alone and with its reason; the others together, from the step on that the failure kept from running. What a later run
has taken up is left to that run: nobody who mends things by hand is crossed, and a look that is repeated asks for
nothing twice. `clip-assets run` does the same for its own runs, as it hears of them: `in_process.Execution`.
"""

import json
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import dagster as dg

from clip_assets.core.library.changes import neighbour_batches
from clip_assets.orchestration.failures import failed_videos, is_every_video_s_fault, was_interrupted
from clip_assets.orchestration.instance import registered
from clip_assets.orchestration.library_names import JOB_ASSETS, LibraryNames
from clip_assets.orchestration.partitions import KEYS_TAG, KeysOfRuns, partition_tags

AGAIN_TAG = "clip_assets/again_after"
"""Of a run that was asked for because another failed: that run's id."""

_POD_TAG = "dagster-k8s/config"
"""Of a run whose pod on Kubernetes is to be another than the usual one: what it left needs that too."""

LOOK_BACK_SECONDS = 24 * 60 * 60.0
"""How long ago a run may have failed to be taken up, as after the daemon was away or the sensor is new."""

REQUESTS_PER_TICK = 25
"""Runs after which a tick takes up no further failed run: Dagster submits each in a few tenths of a second."""

READING_SECONDS = 10.0
"""Time in a tick after which no further failed run is taken up; Dagster gives up on a tick after 60 seconds."""

_OVERLAP_SECONDS = 60.0
"""How much later than the clock of the process that failed says its failure may be seen."""

_EVENTS = {dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.STEP_FAILURE}


@dataclass(frozen=True)
class FailuresCursor:
    """What the sensor hands from tick to tick.

    Attributes:
        since: Seconds since 1970. What failed before is done with.
        seen: Ids of the runs that failed since then and are done with too.
    """

    since: float = 0.0
    seen: Sequence[str] = ()

    def to_json(self) -> str:
        """As Dagster keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "FailuresCursor":
        """What `to_json` gave; a fresh one for a sensor that was never evaluated, or was of another kind before."""
        content = json.loads(text or "{}")
        return cls(content["since"], content["seen"]) if content.keys() == {"since", "seen"} else cls()


@dataclass
class FailuresLook:
    """Looks at the runs that failed since the last look, and decides.

    Attributes:
        instance: Where they are.
        names: The library's.
        videos_per_run: Videos that share a run.
        now: Seconds since 1970.
    """

    instance: dg.DagsterInstance
    names: LibraryNames
    videos_per_run: int
    now: float
    _notes: list[str] = field(default_factory=list)

    def decide(self, before: FailuresCursor) -> dg.SensorResult:
        """The sensor's answer, ``before`` being the cursor of the last look."""
        end = time.monotonic() + READING_SECONDS
        since = max(before.since, self.now - LOOK_BACK_SECONDS)
        failed = self.instance.get_run_records(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.fromtimestamp(since, UTC))
        )
        new = sorted((r for r in failed if r.dagster_run.run_id not in before.seen), key=lambda r: r.update_timestamp)
        requests: list[dg.RunRequest] = []
        seen = set(before.seen)
        for record in new:
            if len(requests) >= REQUESTS_PER_TICK or time.monotonic() > end:
                self._notes.append("the rest is left to the next tick")
                break
            requests += self._requests(record)
            seen.add(record.dagster_run.run_id)
            since = max(since, record.update_timestamp.timestamp() - _OVERLAP_SECONDS)
        recent = [r.dagster_run.run_id for r in failed if r.update_timestamp.timestamp() > since]
        cursor = FailuresCursor(since, sorted(seen.intersection(recent))) if new else before
        message = ", ".join(self._notes) or "no run has failed"
        return dg.SensorResult(requests, skip_reason=None if requests else message, cursor=cursor.to_json())

    def _requests(self, record: dg.RunRecord) -> list[dg.RunRequest]:
        """What is asked for after a run failed."""
        run, keys = record.dagster_run, self._keys_of(record.dagster_run.tags)
        if not keys or not self._assets(run) or KEYS_TAG in run.tags:  # whoever executes that goes on with what it left
            return []
        entries = self.instance.all_logs(run.run_id, of_type=_EVENTS)
        events = [entry.dagster_event for entry in entries if entry.dagster_event]
        steps = [event for event in events if event.is_step_failure and not was_interrupted(event)]
        is_blamed = bool(steps) or (AGAIN_TAG in run.tags and record.start_time is not None)
        if len(keys) == 1 and is_blamed:
            return []
        if is_every_video_s_fault(steps):
            self._notes.append(f"run {run.run_id} failed for a reason that every video shares; it isn't split")
            return []
        recorded = {(self.names.asset(event.asset_key), event.partition) for event in events if event.asset_key}
        left = self._left(record, recorded)
        done = {key for key in keys if all((asset, key) in recorded for asset in self._assets(run))}
        batches = self._batches(left, (failed_videos(steps) or left) if is_blamed else (), done)
        self._notes.append(f"run {run.run_id} failed: {len(left)} videos are asked for again, in {len(batches)} runs")
        return [self._again(run, batch, left[batch[0]]) for batch in batches]

    def _left(
        self, record: dg.RunRecord, recorded: Container[tuple[str | None, str | None]]
    ) -> dict[str, tuple[str, ...]]:
        """By partition key the assets of a run that it hasn't recorded and that no later run has taken up."""
        run = record.dagster_run
        taken_up = {
            (asset, key)
            for later in self._later_than(record)
            for asset in self.names.assets_of(later)
            for key in self._keys_of(later.tags)
        }  # fmt: skip
        left = {
            key: tuple(a for a in self._assets(run) if (a, key) not in recorded and (a, key) not in taken_up)
            for key in self._keys_of(run.tags)
        }
        return {key: assets for key, assets in left.items() if assets}

    def _batches(
        self, left: Mapping[str, tuple[str, ...]], alone: Container[str], done: Container[str]
    ) -> list[Sequence[str]]:
        """Who shares a run: those that lack the same and have but what is done between them; the alone ones last."""
        batches: list[Sequence[str]] = []
        for assets in dict.fromkeys(left.values()):
            together = {key for key in left if left[key] == assets and key not in alone}
            batches += neighbour_batches(together, self._order, self.videos_per_run, done)
        return [*batches, *([key] for key in left if key in alone)]

    def _later_than(self, record: dg.RunRecord) -> list[dg.DagsterRun]:
        """The runs that were created after one."""
        created_after = record.create_timestamp
        later = self.instance.get_run_records(dg.RunsFilter(created_after=created_after))
        return [other.dagster_run for other in later if other.storage_id > record.storage_id]

    @cached_property
    def _order(self) -> Sequence[str]:
        return registered(self.instance, self.names)

    @cached_property
    def _keys_of(self) -> KeysOfRuns:
        return KeysOfRuns(self._order)

    def _assets(self, run: dg.DagsterRun) -> tuple[str, ...]:
        """The assets that a run is for, in order; none if any is another's, or it only evaluates checks."""
        if any(self.names.asset(key) is None for key in run.asset_selection or ()):
            return ()
        return self.names.assets_of(run)

    def _again(self, run: dg.DagsterRun, batch: Sequence[str], assets: Sequence[str]) -> dg.RunRequest:
        """The failed run's job, config and pod, for some of its videos and assets; once, whatever dies meanwhile."""
        configured: Any = run.run_config.get("ops", {})
        wanted = set(map(self.names.op, assets))
        jobs = set(map(self.names, JOB_ASSETS))
        pod = {name: value for name, value in run.tags.items() if name == _POD_TAG}
        return dg.RunRequest(
            run_key=f"{run.run_id}:{batch[0]}",
            job_name=run.job_name if run.job_name in jobs else self.names("extract_clip_features"),
            run_config={**run.run_config, "ops": {op: config for op, config in configured.items() if op in wanted}},
            asset_selection=self.names.keys(assets),
            tags={**pod, **partition_tags(batch), AGAIN_TAG: run.run_id},
        )
