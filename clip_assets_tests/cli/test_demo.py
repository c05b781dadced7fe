"""The demo: the bundled clips through Dagster, on an instance that stays."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from clip_assets_tests.making.platform import ASSETS

ROOT = Path(__file__).parents[2]


def demo(folder: Path) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-m", "clip_assets.cli", "demo"],
        env={**os.environ, "DAGSTER_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_demo_recognises_what_the_main_clip_shows_and_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    lines = demo(tmp_path)
    told = dict(line.split(": ", 1) for line in lines[:3])
    assert list(told) == ["rotated.mp4", "shapes.mp4", "variable_rate.mp4"]
    stretches = re.findall(r"(\d+) to ([\d.]+) s: ([a-z ]+) \(", told["shapes.mp4"])
    assert [(start, what) for start, _, what in stretches] == [
        ("0", "a red circle"), ("2", "a blue square"), ("4", "a green triangle"),
    ]  # fmt: skip
    assert [line.strip() for line in lines[4:]] == [str(tmp_path / "output" / asset) for asset in ASSETS]
    assert (tmp_path / "output" / "clip_features" / "shapes.mp4" / "clip.npy").is_file()
    assert demo(tmp_path) == lines
