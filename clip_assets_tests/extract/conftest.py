"""A working directory with two videos and a custom checkpoint, where video_features expects one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from clip_assets.cli import main
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit

ROOT = Path(__file__).parents[2]
CHECKPOINT = Path("models/clip/checkpoints/CLIP-custom.pth")


@dataclass(frozen=True)
class Outcome:
    """Of a call of the command."""

    code: int
    out: str
    err: str


Extract = Callable[..., Outcome]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    (folder / CHECKPOINT).parent.mkdir(parents=True)
    random_vit(folder / CHECKPOINT)
    corpus.constant_rate(folder / "a.mp4")
    corpus.variable_rate(folder / "b.mp4")
    return folder


@pytest.fixture
def workdir(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a.mp4 (constant rate), b.mp4 (variable rate), the checkpoint of model custom."""
    folder = tmp_path / "work dir"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for child processes
    for name in [name for name in os.environ if name.startswith("CLIP_ASSETS_")]:
        monkeypatch.delenv(name)
    return folder


@pytest.fixture
def extract(workdir: Path, capsys: pytest.CaptureFixture[str]) -> Extract:
    """Call the command with the custom checkpoint on the CPU."""

    def call(*argv: str) -> Outcome:
        code = main(["extract", "model_name=custom", "device_ids=cpu", *argv])
        return Outcome(code, *capsys.readouterr())

    return call
