"""The demo: the bundled clips through Dagster, on an instance that stays."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from clip_assets.cli import main
from clip_assets_tests.making.platform import ASSETS

ROOT = Path(__file__).parents[2]


def test_the_demo_recognises_what_the_main_clip_shows_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    first = subprocess.run(
        [sys.executable, "-m", "clip_assets.cli", "demo"], capture_output=True, text=True, check=False
    )
    assert first.returncode == 0, first.stderr
    lines = first.stdout.splitlines()
    told = dict(line.split(": ", 1) for line in lines[:3])
    assert list(told) == ["rotated.mp4", "shapes.mp4", "variable_rate.mp4"]
    stretches = re.findall(r"(\d+) to ([\d.]+) s: ([a-z ]+) \(", told["shapes.mp4"])
    assert [(start, what) for start, _, what in stretches] == [
        ("0", "a red circle"), ("2", "a blue square"), ("4", "a green triangle"),
    ]  # fmt: skip
    assert [line.strip() for line in lines[4:]] == [str(tmp_path / "output" / asset) for asset in ASSETS]
    assert (tmp_path / "output" / "clip_features" / "shapes.mp4" / "clip.npy").is_file()
    capsys.readouterr()
    assert main(["demo"]) == 0
    assert capsys.readouterr().out.splitlines() == lines
