"""Workers that share nothing but PostgreSQL, Redis and a bucket: what one leaves when it is killed, another does."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory
from unittest.mock import patch

import dagster as dg
import fsspec
import pytest

from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import Store
from clip_assets.demo import demo_clips
from clip_assets.orchestration.instance import open_instance, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import KeysOfRuns
from clip_assets.orchestration.run_liveness import GONE
from clip_assets_tests.making import postgres, redis, s3
from clip_assets_tests.making.platform import ASSETS
from clip_assets_tests.making.redis import beside, kill
from clip_assets_tests.making.server import wait_until

WHY_NOT = postgres.why_not() or redis.why_not()
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]
pytest.importorskip("moto")

DEPLOYED = Path(__file__).parents[2] / "deploy" / "celery" / "dagster.yaml"
START_SECONDS = 120
"""In place of the 300 that are deployed."""

CLIPS = 12
STALL = """
import pathlib, time
from celery import signals

@signals.task_prerun.connect
def stall(**_):
    pathlib.Path("stalled").touch()
    time.sleep(600)
"""


@dataclass
class Fleet:
    """Machines, each a folder with an instance and caches of its own.

    Attributes:
        folder: Has one for each.
        environment: What their processes are told.
        running: Ends their processes.
        database: What all machines know.
        queue: Where runs wait for a worker.
        queue_process: Its process.
        together: Videos that were seen in the hands of two runs at work.
    """

    folder: Path
    environment: dict[str, str]
    running: ExitStack
    database: postgres.Postgres
    queue: redis.Redis
    queue_process: Popen[bytes]
    together: list[str] = field(default_factory=list)

    def start(self, name: str, *words: str, includes: str = "") -> Popen[bytes]:
        """A process on a machine of its own."""
        home, environment = self.machine(name, includes)
        command = [sys.executable, "-m", *words]
        return self.running.enter_context(beside(command, home, environment, home / "log"))

    def machine(self, name: str, includes: str = "") -> tuple[Path, dict[str, str]]:
        """A folder, and what its processes are told."""
        home = self.folder / name
        (home / ".dagster_home").mkdir(parents=True)
        shutil.copy(Path(__file__).parents[2] / "workspace.yaml", home)
        settings = DEPLOYED.read_text().replace("start_timeout_seconds: 300", f"start_timeout_seconds: {START_SECONDS}")
        if includes:
            (home / "stalling.py").write_text(includes)
            settings = settings.replace("    broker:", "    include: [stalling]\n    broker:")
        (home / ".dagster_home" / "dagster.yaml").write_text(settings)
        own = {
            "DAGSTER_HOME": str(home / ".dagster_home"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "TMPDIR": self.running.enter_context(TemporaryDirectory(prefix=name)),  # short: it holds sockets
            "PYTHONPATH": f"{Path(__file__).parents[2]}{os.pathsep}{home}",
        }
        return home, {**self.environment, **own}

    def runs(self, status: dg.DagsterRunStatus) -> list[dg.RunRecord]:
        """The runs of a status, the first one first; notes videos that two runs at work hold."""
        with open_instance() as instance:
            keys_of = KeysOfRuns(registered(instance, LibraryNames()))
            started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            held = [key for run in started for key in keys_of(run.tags)]
            self.together += {key for key in held if held.count(key) > 1}
            return list(instance.get_run_records(dg.RunsFilter(statuses=[status]), ascending=True))

    def done(self) -> int:
        """How many videos Dagster knows all of."""
        self.runs(dg.DagsterRunStatus.STARTED)
        with open_instance() as instance:
            made = [instance.get_materialized_partitions(dg.AssetKey(asset)) for asset in ASSETS]
            return len(set.intersection(*made))

    def events(self, run_id: str) -> str:
        """What the instance was told of a run."""
        with open_instance() as instance:
            return "\n".join(entry.message for entry in instance.all_logs(run_id))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Servers, 12 clips in a bucket, a daemon whose sensor asks for them in runs of 4; no worker."""
    with ExitStack() as running:
        database = running.enter_context(postgres.postgres_server())
        database.new_database("fleet")
        queue = redis.new_server()
        queue_process = running.enter_context(redis.serving(queue, tmp_path))
        bucket = running.enter_context(s3.s3_server())
        environment = {
            **s3.environment(bucket),
            "DAGSTER_POSTGRES_HOST": "127.0.0.1",
            "DAGSTER_POSTGRES_PORT": str(database.port),
            "DAGSTER_POSTGRES_USER": postgres.USER,
            "DAGSTER_POSTGRES_PASSWORD": database.password,
            "DAGSTER_POSTGRES_DB": "fleet",
            "DAGSTER_CELERY_BROKER": queue.url,
            "CLIP_ASSETS_VIDEOS": f"s3://{s3.BUCKET}/films",
            "CLIP_ASSETS_OUTPUT": f"s3://{s3.BUCKET}/results",
            "CLIP_ASSETS_MODEL_NAME": "demo",
            "CLIP_ASSETS_EXTRACTION_FPS": "5",
            "CLIP_ASSETS_VIDEOS_PER_RUN": "4",
            "CLIP_ASSETS_SETTLE_SECONDS": "0",
            "CLIP_ASSETS_SENSOR": "on",
            "CLIP_ASSETS_PICTURES": "off",
        }
        running.enter_context(patch.dict(os.environ, environment))
        s3.new_bucket()
        clips = demo_clips()
        for number in range(CLIPS):
            fsspec.filesystem("s3").put_file(str(clips[number % len(clips)]), f"{s3.BUCKET}/films/{number:02}.mp4")
        made = Fleet(tmp_path / "machines", environment, running, database, queue, queue_process)
        made.start("daemon", "dagster._daemon", "run", "-w", "workspace.yaml")
        running.enter_context(patch.dict(os.environ, {"DAGSTER_HOME": str(made.folder / "daemon" / ".dagster_home")}))
        yield made


@pytest.mark.timeout(1200)
def test_what_killed_workers_left_before_and_after_they_began_is_done_by_another(fleet: Fleet) -> None:
    status = dg.DagsterRunStatus
    never_begins = fleet.start("a", "clip_assets.cli", "worker", includes=STALL)
    wait_until((fleet.folder / "a" / "stalled").exists, 180, "a task")
    kill(never_begins)

    dies = fleet.start("b", "clip_assets.cli", "worker")
    (begun,) = wait_until(lambda: fleet.runs(status.STARTED), 180, "a run")
    kill(dies)
    lives = fleet.start("c", "clip_assets.cli", "worker")

    wait_until(lambda: begun.dagster_run.run_id in ids(fleet.runs(status.FAILURE)), 60, "the end of the run")
    assert GONE in fleet.events(begun.dagster_run.run_id)

    def timed_out() -> list[str]:
        return [run for run in ids(fleet.runs(status.FAILURE)) if "to start" in fleet.events(run)]

    wait_until(timed_out, START_SECONDS + 30, "the end of the run that never began")
    wait_until(lambda: fleet.done() == CLIPS, 300, "all videos")
    assert fleet.together == []
    assert lives.poll() is None
    store = Store(fleet.environment["CLIP_ASSETS_OUTPUT"])
    assert all(store.manifest(asset, f"{number:02}.mp4") for asset in ASSETS for number in range(CLIPS))
    assert len(fleet.runs(status.SUCCESS)) > 1
    assert (fleet.folder / "c" / "log").read_text().count("Loaded demo") == 1, "the model stays from run to run"
    messages = b"".join(path.read_bytes() for path in fleet.folder.parent.rglob("*.aof"))
    bodies = [base64.b64decode(body) for body in re.findall(rb'"body": "([^"]*)"', messages)]
    assert any(begun.dagster_run.run_id.encode() in body for body in bodies)
    assert not [body for body in bodies if fleet.environment["DAGSTER_POSTGRES_PASSWORD"].encode() in body]


@pytest.mark.timeout(1200)
def test_nothing_is_lost_or_torn_where_the_database_and_the_queue_stop_in_mid_run(fleet: Fleet) -> None:
    home, environment = fleet.machine("a")
    command = [sys.executable, "-m", "clip_assets.cli", "worker"]
    with Popen(command, cwd=home, env={**os.environ, **environment}, start_new_session=True) as interrupted:
        (begun,) = wait_until(lambda: fleet.runs(dg.DagsterRunStatus.STARTED), 180, "a run")
        os.killpg(interrupted.pid, signal.SIGINT)  # as a terminal does: to all of its processes
        assert interrupted.wait(120) == 0
    assert ids(fleet.runs(dg.DagsterRunStatus.SUCCESS)) == [begun.dagster_run.run_id], "the run was finished before"

    worker = fleet.start("b", "clip_assets.cli", "worker")
    wait_until(lambda: fleet.runs(dg.DagsterRunStatus.STARTED), 180, "a run")
    kill(fleet.queue_process)
    postgres.stop(fleet.database)
    time.sleep(8)
    fleet.running.enter_context(postgres.serving(fleet.database))
    fleet.running.enter_context(redis.serving(fleet.queue, fleet.folder.parent))
    wait_until(lambda: fleet.done() == CLIPS, 500, "all videos")
    assert worker.poll() is None
    assert fleet.together == []
    store = Store(fleet.environment["CLIP_ASSETS_OUTPUT"])
    for number in range(CLIPS):
        assert store.read("clip_features", f"{number:02}.mp4", ClipFeatures).clip.size


def ids(records: list[dg.RunRecord]) -> list[str]:
    return [record.dagster_run.run_id for record in records]
