"""One run at a time encodes, whoever started it: the daemon from its queue, or a command in a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dotenv import dotenv_values

from clip_assets.cli import main
from clip_assets.core.store import Store
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit
from clip_assets_tests.making.platform import ASSETS
from clip_assets_tests.making.server import dagster_dev, wait_until

pytestmark = pytest.mark.cluster

QUEUED, TYPED = "queued.mp4", "typed.mp4"
PROBE = """
import os, time
from clip_assets.core.pipeline import features

encode = features.extract_features

def extract_features(*arguments, **named):
    with open(os.environ["PROBE"], "a") as file:
        print("begin", os.getpid(), file=file, flush=True)
        time.sleep(4)  # so that two that don't wait for each other are seen
        yield from encode(*arguments, **named)
        print("end", os.getpid(), file=file, flush=True)

features.extract_features = extract_features
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two videos, whose processes write when they begin and end to encode."""
    (tmp_path / "films").mkdir()
    for key in (QUEUED, TYPED):
        corpus.single_frame(tmp_path / "films" / key)
    for name in [name for name in os.environ if name.startswith(("CLIP_ASSETS_", "DAGSTER_HOME"))]:
        monkeypatch.delenv(name)
    made = tmp_path / "project"
    assert main(["init", str(made), "--videos", str(tmp_path / "films")]) == 0
    checkpoint = random_vit(tmp_path / "vit.pth")
    with (made / ".env").open("a") as env:
        env.write(f"CLIP_ASSETS_MODEL_NAME=custom\nCLIP_ASSETS_CHECKPOINT={checkpoint}\nCLIP_ASSETS_PICTURES=off\n")
        env.write(f"CLIP_ASSETS_SETTLE_SECONDS=0\nCLIP_ASSETS_OUTPUT={made / 'output'}\n")
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe/sitecustomize.py").write_text(PROBE)
    monkeypatch.setenv("PROBE", str(tmp_path / "probed.txt"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'probe'}:{Path(__file__).parents[2]}")
    monkeypatch.chdir(made)
    return made


def typed() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "clip_assets.cli", "run", TYPED])


def probed() -> list[list[str]]:
    file = Path(os.environ["PROBE"])
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.timeout(300)
def test_a_queued_run_and_one_in_a_terminal_encode_one_after_the_other(project: Path) -> None:
    assert main(["add", str(project.parent / "films")]) == 0
    environment = {name: value or "" for name, value in dotenv_values(project / ".env").items()}
    with dagster_dev(project / ".dagster_home", environment) as server:
        run_id = server.launch(ASSETS, QUEUED)
        command = typed()
        assert command.wait(120) == 0
        wait_until(lambda: server.run_status(run_id) == "SUCCESS", 120, "the queued run")
    assert [word for word, _ in probed()] == ["begin", "end", "begin", "end"]
    assert len({pid for _, pid in probed()}) == 2
    store = Store(str(project / "output"))
    assert all(store.manifest(asset, key) for asset in ASSETS for key in (QUEUED, TYPED))
    with dg.DagsterInstance.from_config(str(project / ".dagster_home")) as instance:
        assert instance.event_log_storage.get_concurrency_info("gpu").slot_count == 1


def test_what_a_killed_run_held_is_free_for_the_next(project: Path) -> None:
    killed = typed()
    wait_until(probed, 60, "the first run encodes")
    killed.send_signal(signal.SIGKILL)
    killed.wait(10)
    assert typed().wait(60) == 0
    assert [word for word, _ in probed()] == ["begin", "begin", "end"]
