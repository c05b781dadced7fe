"""What Dagster knows in PostgreSQL: few connections, no more work than with SQLite, and set up as the docs say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from clip_assets.core.errors import SettingsError
from clip_assets.demo import demo_clips
from clip_assets.orchestration.dagster_internals import free_pools
from clip_assets.orchestration.in_process import Execution, Listener
from clip_assets.orchestration.instance import limit_encoding, open_instance
from clip_assets.orchestration.library_names import GPU_POOL
from clip_assets.orchestration.run_plan import Asked, make_plan
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import ASSETS, make_platform
from clip_assets_tests.making.postgres import Postgres, postgres_server, why_not
from clip_assets_tests.making.server import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(why_not()), reason=why_not())]

DOCUMENTED = Path(__file__).parents[2] / "docs" / "postgres.md"
CONNECTIONS_A_VIDEO = 5
CONNECTIONS_OF_A_START = 60
"""Of a run that Dagster's own command makes, before it comes to what is ours: 50."""

SERVER_UNTIL_KILLED = """
import time
from clip_assets_tests.making.postgres import postgres_server

with postgres_server() as server:
    print(server.port, server.log.parent, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres_server() as running:
        yield running


def storage(server: Postgres, database: str) -> str:
    """The documented lines of ``dagster.yaml``, for this server."""
    (documented,) = re.findall(r"```yaml\n(storage:\n.*?)```", DOCUMENTED.read_text(), re.DOTALL)
    lines, changes = re.subn(r"port: 5432", f"port: {server.port}", documented)
    lines, more = re.subn(r"db_name: dagster", f"db_name: {database}", lines)
    assert (changes, more) == (1, 1)
    return lines


@dataclass
class Told(Listener):
    """Which videos are done; in the middle of each run the server closes what is connected, if it is to."""

    close: Callable[[], int] | None = None
    keys: list[str] = field(default_factory=list)

    def encoded(self, frames: int) -> None:
        if self.close:
            assert self.close() > 0

    def done(self, key: str, frames: int | None) -> None:
        self.keys.append(key)


def compute(folder: Path, videos: int, server: Postgres | None, *, closes: bool = False) -> tuple[float, int]:
    """Register and compute clips of one frame in runs of 16: seconds of the processor a video, and connections."""
    home = folder / "home"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    os.environ["DAGSTER_HOME"] = str(home)
    database = "d" + folder.name
    if server:
        server.new_database(database)
        os.environ["DAGSTER_POSTGRES_PASSWORD"] = server.password
        with (home / "dagster.yaml").open("a") as file:
            file.write(storage(server, database))
        with open_instance():
            pass  # makes its tables
    keys = [f"{number}.mp4" for number in range(videos)]
    before = server.connections(database) if server else 0
    with open_instance() as instance:
        platform = make_platform(folder, instance)
        platform.change(pictures="off", settle_seconds=0)
        for key in keys:
            corpus.single_frame(platform.videos / key)
        close = partial(server.close_connections, database) if server and closes else None
        told, begin = Told(close), time.process_time()
        platform.add(*keys)
        Execution(instance, platform.settings, told).execute(make_plan(instance, platform.settings, Asked([])).tasks)
        seconds = time.process_time() - begin
        assert sorted(told.keys) == sorted(keys)
        assert all(len(instance.get_materialized_partitions(platform.names.key(asset))) == videos for asset in ASSETS)
    return seconds, server.connections(database) - before if server else 0


@pytest.mark.timeout(600)
def test_48_clips_take_few_connections_and_no_more_of_the_processor_than_with_sqlite(
    tmp_path: Path, server: Postgres
) -> None:
    seconds: dict[str, list[float]] = {"sqlite": [], "postgres": []}
    for number in range(3):
        for kind, taken in seconds.items():
            used, connections = compute(tmp_path / f"{kind}{number}", 48, server if kind == "postgres" else None)
            taken.append(used)
            assert connections <= 48 * CONNECTIONS_A_VIDEO
    assert median(seconds["postgres"]) <= median(seconds["sqlite"]), seconds


def test_a_run_goes_on_where_the_server_closed_its_connections(tmp_path: Path, server: Postgres) -> None:
    compute(tmp_path / "closed", 20, server, closes=True)


def test_a_pool_holds_for_two_hosts_and_is_free_after_a_run_that_was_killed(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.new_database("pool")
    (tmp_path / "dagster.yaml").write_text(storage(server, "pool"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", server.password)
    with open_instance() as here, open_instance() as there:
        limit_encoding(here)
        limit_encoding(there)
        assert here.event_log_storage.claim_concurrency_slot(GPU_POOL, "a", "clip_features").is_claimed
        assert not there.event_log_storage.claim_concurrency_slot(GPU_POOL, "b", "clip_features").is_claimed
        free_pools(there, "a")
        assert there.event_log_storage.claim_concurrency_slot(GPU_POOL, "b", "clip_features").is_claimed


def test_a_server_that_is_not_there_is_told_in_a_line(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text(storage(replace(server, port=1), "clips"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_POSTGRES_PASSWORD", "a secret")
    told = rf"The database of {tmp_path}/dagster\.yaml can't be reached: .*refused"
    with pytest.raises(SettingsError, match=told) as raised, open_instance():
        pass
    assert "secret" not in str(raised.value)
    monkeypatch.delenv("DAGSTER_POSTGRES_PASSWORD")
    with pytest.raises(SettingsError, match="DAGSTER_POSTGRES_PASSWORD"), open_instance():
        pass


@pytest.mark.timeout(300)
def test_the_demos_clips_are_computed_in_a_project_that_is_set_up_as_documented(
    tmp_path: Path, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)  # make names that of the checkout
    server.new_database("demo")
    (tmp_path / "clips").mkdir()
    clips = [Path(shutil.copy(clip, tmp_path / "clips")).name for clip in demo_clips()]
    project = tmp_path / "films"
    run(tmp_path, "clip_assets.cli", "init", "films", "--videos", "clips", "--model", "demo")
    with (project / ".dagster_home" / "dagster.yaml").open("a") as file:
        file.write(storage(server, "demo"))
    with (project / ".env").open("a") as file:
        file.write(f"\nDAGSTER_POSTGRES_PASSWORD={server.password}\nCLIP_ASSETS_SETTLE_SECONDS=0\n")
    run(project, "clip_assets.cli", "add", "../clips")
    before = server.connections("demo")
    run(project, "clip_assets.cli", "run")
    assert server.connections("demo") - before <= len(clips) * CONNECTIONS_A_VIDEO
    assert f"{len(clips)} done" in run(project, "clip_assets.cli", "status")
    monkeypatch.setenv("DAGSTER_HOME", str(project / ".dagster_home"))
    before = server.connections("demo")
    words = ["-m", "clip_assets.definitions", "--select", "*", "--partition", clips[0]]
    run(project, "dagster", "asset", "materialize", *words)
    assert server.connections("demo") - before <= CONNECTIONS_OF_A_START
    assert not list((project / ".dagster_home").rglob("*.db"))


def test_the_server_ends_when_the_tests_are_killed() -> None:
    tests = subprocess.Popen([sys.executable, "-c", SERVER_UNTIL_KILLED], stdout=subprocess.PIPE, text=True)
    assert tests.stdout is not None
    port, folder = tests.stdout.readline().split()
    tests.send_signal(signal.SIGKILL)
    tests.communicate()
    wait_until(lambda: not is_served(int(port)), 30, "the server's end")
    wait_until(lambda: not list(Path(folder).glob("*")), 30, "the end of its files")
    shutil.rmtree(folder, ignore_errors=True)  # it may be gone, too


def is_served(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def run(folder: Path, module: str, *words: str) -> str:
    """What a command says."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout
