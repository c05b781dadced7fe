"""What each layer may know: the linter keeps Dagster and heavy libraries out, and `core` knows nothing above it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

PLANTED = '''"""Planted."""

import dagster
import torch
from dagster import Config

__all__ = ["Config", "dagster", "torch"]
'''


def refused(file_name: str) -> list[tuple[str, int]]:
    """The linter's rules that the planted module breaks under this name, each with the line."""
    command = [sys.executable, "-m", "ruff", "check", "--output-format=json", "--stdin-filename", file_name, "-"]
    done = subprocess.run(command, input=PLANTED, cwd=ROOT, capture_output=True, text=True, check=False)
    return [(found["code"], found["location"]["row"]) for found in json.loads(done.stdout)]


@pytest.mark.parametrize("folder", ["core", "core/pictures", "extract"])
def test_dagster_is_refused_below_the_modules_that_may_know_it(folder: str) -> None:
    assert refused(f"clip_assets/{folder}/planted.py") == [("TID251", 3), ("TID253", 4), ("TID251", 5)]


@pytest.mark.parametrize("folder", ["", "assets/", "demo/"])
def test_torch_is_refused_at_module_level_where_dagster_is_allowed(folder: str) -> None:
    assert refused(f"clip_assets/{folder}planted.py") == [("TID253", 4)]


@pytest.mark.parametrize(
    "above",
    [r"CLIP_ASSETS_", r"[Mm]aterializ", r"clip-assets ", r"^ *(from|import) clip_assets\.(?!core\b)"],
    ids=["environment", "UI", "command", "imports"],
)
def test_core_knows_nothing_of_what_is_above_it(above: str) -> None:
    modules = sorted((ROOT / "clip_assets" / "core").rglob("*.py"))
    assert len(modules) > 30
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in modules
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(above, line)
    ]
    assert found == []
