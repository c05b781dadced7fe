"""`clip-assets status`: done, failed and why, stale and why, missing, for each partition and asset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from clip_assets.instance import failures
from clip_assets.states import video_states
from clip_assets.status import status_report
from clip_assets_tests import corpus
from clip_assets_tests.checkpoints import random_vit
from clip_assets_tests.platform import ASSETS, Platform, make_platform


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Two good videos around a broken one; nothing materialized."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(tmp_path, instance)
        made.change(pictures="off")
        for key in ("a.mp4", "c.mp4"):
            corpus.single_frame(made.videos / key)
        (made.videos / "b.mp4").write_text("no video")
        made.add("a.mp4", "b.mp4", "c.mp4")
        yield made


def states(platform: Platform) -> dict[str, list[str]]:
    found = video_states(platform.settings, platform.registered(), failures(platform.instance))
    return {video.key: [asset.state for asset in video.assets.values()] for video in found}


def report(platform: Platform) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        for part in status_report(platform.settings, platform.registered(), failures(platform.instance)):
            console.print(part, soft_wrap=True)
    return capture.get().splitlines()


def test_a_broken_video_has_failed_and_the_others_of_its_batch_have_not(platform: Platform) -> None:
    platform.materialize("a.mp4", "b.mp4", "c.mp4")
    assert states(platform) == {
        "a.mp4": ["done", "missing", "missing", "missing"],
        "b.mp4": ["failed"] * len(ASSETS),
        "c.mp4": ["done", "missing", "missing", "missing"],
    }
    lines = report(platform)
    assert "frame_indices: 2 done, 1 failed" in lines
    (reason,) = [line for line in lines if line.startswith("b.mp4 failed: ")]
    assert str(platform.videos / "b.mp4") in reason


def test_a_failure_for_want_of_a_model_is_every_video_s(platform: Platform) -> None:
    checkpoint = platform.settings.checkpoint
    platform.change(checkpoint=platform.folder / "missing.pth")
    platform.materialize("a.mp4")
    platform.change(checkpoint=checkpoint)
    assert states(platform)["a.mp4"] == ["done", "failed", "failed", "failed"]
    assert any("a.mp4 failed: " in line and "missing.pth" in line for line in report(platform))


def test_what_is_stale_says_why(platform: Platform) -> None:
    platform.materialize("a.mp4")
    random_vit(platform.settings.checkpoint, seed=1)
    platform.change(pred_texts=["other"])
    assert states(platform)["a.mp4"] == ["done", "stale", "stale", "stale"]
    assert any(line.startswith("a.mp4: clip_features is stale: weights_sha256 ") for line in report(platform))
