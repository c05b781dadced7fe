"""What each room may know: planted imports are refused, and `core` doesn't speak of what is above it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clip_assets.models import FAMILIES

ROOT = Path(__file__).parents[1]
PRODUCT = ROOT / "clip_assets"

PLANTED = {
    "core.video": ["dagster", "dotenv", "clip_assets.settings", "clip_assets.demo", "clip_assets.core.pipeline"],
    "core.library": ["clip_assets.core.model"],
    "core.search": ["clip_assets.results"],
    "core.export": ["clip_assets.asking", "clip_assets.core.search"],
    "demo": ["clip_assets.results"],
    "results": ["dagster", "clip_assets.orchestration", "clip_assets.asking.library"],
    "extract": ["dagster", "clip_assets.orchestration", "clip_assets.browse", "clip_assets.cli"],
    "browse": ["dagster", "clip_assets.orchestration", "clip_assets.extract", "clip_assets.cli"],
    "orchestration": ["clip_assets.browse", "clip_assets.extract", "clip_assets.cli", "clip_assets.definitions"],
    "cli": ["dagster", "clip_assets.definitions"],
}
"""By room the imports across a wall that a module in it might have."""

HEAVY = '''"""Planted."""

import torch
from av import VideoFrame

__all__ = ["VideoFrame", "torch"]
'''


def test_an_import_across_any_wall_is_refused(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PRODUCT, tmp_path / "clip_assets", ignore=lambda _, names: [n for n in names if n[-4:] in WEIGHTY])
    for room, imported in PLANTED.items():
        lines = [f"import {name}" for name in imported]
        planted = tmp_path.joinpath("clip_assets", *room.split("."), "planted.py")
        planted.write_text("\n".join(lines), encoding="utf-8")
    command = ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    refused = set(re.findall(r"clip_assets\.([\w.]+)\.planted -> ([\w.]+)", done.stdout))
    assert refused == {(room, name) for room, imported in PLANTED.items() for name in imported}


WEIGHTY = (".mp4", ".pth", ".txt")


@pytest.mark.parametrize("folder", ["", "core/", "orchestration/", "demo/"])
def test_what_is_heavy_is_refused_at_module_level(folder: str) -> None:
    name = f"clip_assets/{folder}planted.py"
    command = [sys.executable, "-m", "ruff", "check", "--output-format=json", "--stdin-filename", name, "-"]
    done = subprocess.run(command, input=HEAVY, cwd=ROOT, capture_output=True, text=True, check=False)
    assert [(found["code"], found["location"]["row"]) for found in json.loads(done.stdout)] == [
        ("TID253", 3),
        ("TID253", 4),
    ]


@pytest.mark.parametrize(
    "above",
    [r"CLIP_ASSETS_", r"[Mm]aterializ", r"clip-assets ", r"\b[Dd]emo\b|shapes\.pth"],
    ids=["settings", "UI", "command", "demo"],
)
def test_core_does_not_speak_of_what_is_above_it(above: str) -> None:
    modules = sorted((PRODUCT / "core").rglob("*.py"))
    assert len(modules) > 30
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in modules
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(above, line)
    ]
    assert found == []


def test_a_family_of_models_is_named_in_the_model_s_room_and_where_families_meet_alone() -> None:
    """And in the demo's, whose model is trained in OpenAI's layout by OpenAI's code."""
    rooms = (PRODUCT / "core" / "model", PRODUCT / "demo", PRODUCT / "models.py")
    elsewhere = [path for path in PRODUCT.rglob("*.py") if not any(path.is_relative_to(room) for room in rooms)]
    for family in FAMILIES:
        assert [path for path in elsewhere if family.name in path.read_text(encoding="utf-8").lower()] == []
        above = [path for path in rooms[0].glob("*.py") if f"model.{family.name}" in path.read_text(encoding="utf-8")]
        assert above == [], "what families have in common knows none"


def test_no_module_is_long() -> None:
    """Beyond that it holds more than one thing."""
    lengths = {p.relative_to(ROOT): len(p.read_text(encoding="utf-8").splitlines()) for p in PRODUCT.rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > 350} == {}


def test_each_room_says_what_belongs_in_it_and_what_does_not() -> None:
    for face in PRODUCT.rglob("__init__.py"):
        words = face.read_text(encoding="utf-8").split('"""')[1]
        assert words.count(".") >= 2, face
