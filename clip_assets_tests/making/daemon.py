"""Dagster's daemon in a few lines: evaluates `video_library` tick by tick, and carries it out or dies half-way."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import dagster as dg

from clip_assets.orchestration.library_tick import Cursor, Decision, Look
from clip_assets_tests.making.platform import Platform

SETTLE = 10.0


STARTED = dg.DagsterRunStatus.STARTED


@dataclass
class Daemon:
    """Evaluates `video_library` as Dagster's daemon does; its runs go on until a test ends them."""

    platform: Platform
    cursor: str | None = None
    now: float = 1_000_000.0
    run_keys: list[str] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)

    def tick(self, *, seconds: float = SETTLE, dies_after: str = "") -> Decision:
        """One tick, ``seconds`` after the last; it may die after its ``observations`` or its ``partitions``."""
        self.now += seconds
        platform, instance = self.platform, self.platform.instance
        listed = platform.settings.source.listing()
        look = Look(platform.settings, instance, platform.registered(), listed, self.now)
        decision = look.decide(Cursor.from_json(self.cursor))
        result = decision.to_dagster(self.cursor)
        decision.report(instance)
        if dies_after == "observations":
            return decision
        for request in result.dynamic_partitions_requests or ():
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                instance.add_dynamic_partitions("videos", list(request.partition_keys))
            else:
                for key in request.partition_keys:
                    instance.delete_dynamic_partition("videos", key)
        if dies_after == "partitions":
            return decision
        self.cursor = result.cursor
        for request in result.run_requests or ():
            if request.run_key not in self.run_keys:
                self.run_keys.append(request.run_key)
                run = dg.DagsterRun("job", run_id=str(uuid.uuid4()), tags=request.tags, status=STARTED)
                self.run_ids.append(instance.add_run(run).run_id)
        return decision

    def end_runs(self) -> None:
        for run_id in self.run_ids:
            run = self.platform.instance.get_run_by_id(run_id)
            self.platform.instance.report_run_canceled(run)
        self.run_ids.clear()


def put(platform: Platform, *keys: str, content: str = "a") -> None:
    for key in keys:
        path = platform.videos / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def batches(decision: Decision) -> list[list[str]]:
    return [list(batch) for batch in decision.batches]


def steady(platform: Platform, *keys: str) -> Daemon:
    """A daemon that has seen these videos, with results asked for and no run left."""
    put(platform, *keys)
    daemon = Daemon(platform)
    daemon.tick()
    daemon.tick()
    assert platform.registered() == sorted(keys)
    daemon.end_runs()
    return daemon
