"""What the linter keeps out: Dagster below the modules that may know it, heavy libraries at module level."""

from __future__ import annotations

import json
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
