"""The demo: the bundled clips through Dagster, on an instance that stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
    heads = [number for number, line in enumerate(lines) if line.startswith("Video #")]
    assert len(heads) == 3
    texts = lines[heads[1]].removeprefix("Video #1: ").split(" | ")
    frames = [json.loads(line.split(": ")[1]) for line in lines[heads[1] + 1 : heads[2]]]
    best = [texts[probabilities.index(max(probabilities))] for probabilities in frames]
    assert list(dict.fromkeys(best)) == ["a red circle", "a blue square", "a green triangle"]
    assert lines[-1].strip() == str(tmp_path / "output" / "text_match")
    assert (tmp_path / "output" / "clip_features" / "shapes.mp4" / "clip.npy").is_file()
    assert demo(tmp_path) == lines
