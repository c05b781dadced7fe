"""Summaries of every version are read and shown, whatever they lack."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clip_assets.cli.show import as_text
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import MANIFEST_NAME
from clip_assets.results.sections import sections
from clip_assets.results.summaries import SUMMARY_VERSION, FeatureSummary, FrameSummary, MatchSummary, Summary
from clip_assets_tests.golden import OUTPUT

TYPES: dict[str, type[Summary]] = {
    "frame_indices": FrameSummary,
    "clip_features": FeatureSummary,
    "text_match": MatchSummary,
}


def stored(asset: str) -> dict[str, Any]:
    manifest = Store(OUTPUT).manifest(asset, "plain.mp4")
    assert manifest is not None
    return manifest.summary


def shown(output: Path) -> str:
    """What `clip-assets show` prints of the plain video."""
    console = Console(width=120, record=True, file=io.StringIO())
    for part in as_text("plain.mp4", sections(Store(output), "plain.mp4")):
        console.print(part)
    return console.export_text()


STORED = ("frame_indices", "clip_features", "text_match")
"""The assets that version 1 stored."""


@pytest.mark.parametrize("asset", STORED)
def test_what_version_1_stored_is_read_value_by_value(asset: str) -> None:
    old = stored(asset)
    summary = TYPES[asset].read(old)
    assert summary.version == 1
    assert json.loads(json.dumps(summary.to_store())).items() >= old.items()


@pytest.mark.parametrize("asset", STORED)
def test_a_summary_comes_back_equal_with_the_version_that_wrote_it(asset: str) -> None:
    summary = TYPES[asset].read({**stored(asset), "version": SUMMARY_VERSION})
    assert TYPES[asset].read(json.loads(json.dumps(summary.to_store()))) == summary


def test_what_a_newer_version_stored_beside_is_left_out() -> None:
    assert FrameSummary.read({"frames": 3, "of the future": [1]}) == FrameSummary(frames=3)


def test_a_value_of_another_kind_is_unknown_and_the_others_are_known() -> None:
    odd = {"frames": 3, "fps": "fast", "norms": [1.0], "model": None}
    assert FeatureSummary.read(odd) == FeatureSummary(frames=3)


@pytest.mark.parametrize("asset", STORED)
def test_whatever_value_is_missing_everything_else_is_shown(asset: str, tmp_path: Path) -> None:
    for name in STORED:
        shutil.copytree(OUTPUT / name / "plain.mp4", tmp_path / name / "plain.mp4")
    place = tmp_path / asset / "plain.mp4" / MANIFEST_NAME
    content = json.loads(place.read_bytes())
    whole = content["summary"]
    for missing in whole:
        summary = {name: value for name, value in whole.items() if name != missing}
        place.write_text(json.dumps({**content, "summary": summary}))
        assert "h264" in shown(tmp_path) or missing in ("codec", "container")
    place.write_text(json.dumps({**content, "summary": {}}))
    for words in STORED:
        assert words in shown(tmp_path)


def test_what_version_1_did_not_tell_is_called_unknown() -> None:
    assert [line.split()[:3] for line in shown(OUTPUT).splitlines() if "unknown" in line] == [
        ["video", "stream", "unknown"],
        ["shown", "unknown"],
        ["colours", "unknown"],
        ["end", "unknown"],
    ]
