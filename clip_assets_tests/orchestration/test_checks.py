"""Each asset check is green on what the platform stores and red, with what it saw, on what was tampered with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from clip_assets.core.records import ClipFeatures, TextMatch
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.results.assets import PER_VIDEO
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import Platform, make_platform

CHECKS = {
    "frames_follow_sampling": "frame_indices",
    "features_are_sound": "clip_features",
    "shots_are_sound": "shots",
    "probabilities_are_sound": "text_match",
}
"""Each check's asset."""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(tmp_path, instance)
        corpus.constant_rate(made.videos / "a.mp4")
        for name in ("b", "c"):
            shutil.copy(made.videos / "a.mp4", made.videos / f"{name}.mp4")
        made.add("a.mp4", "b.mp4", "c.mp4")
        yield made


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """What each check came to, by its name; of a batch what it returned, not each video's."""
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def counted(platform: Platform, name: str) -> dict[str, set[str]]:
    """The partitions by what a check came to, where Dagster counts it for what is stored now."""
    key = dg.AssetCheckKey(dg.AssetKey(CHECKS[name]), name)
    found: dict[str, set[str]] = {}
    for info in platform.instance.event_log_storage.get_asset_check_partition_info([key]):
        if info.partition_key and info.is_current:
            found.setdefault(info.latest_execution_status.value, set()).add(info.partition_key)
    return found


def check(platform: Platform, name: str, *keys: str) -> dg.AssetCheckEvaluation:
    """Evaluate one check alone, as its button in the UI does."""
    whole = build_definitions(platform.settings).resolve_implicit_global_asset_job_def()
    selected = {dg.AssetCheckKey(dg.AssetKey(CHECKS[name]), name)}
    job = whole.get_subset(asset_selection=set(), asset_check_selection=selected)
    result = job.execute_in_process(instance=platform.instance, tags=partition_tags(keys))
    return evaluations(result)[name]


def tamper(platform: Platform, asset: str, key: str, **fields: Any) -> None:
    """Store another record under the manifest's parameters, with right digests: wrong from the start."""
    record = platform.store.read(asset, key, PER_VIDEO[asset].record)
    manifest = platform.store.manifest(asset, key)
    platform.store.write(
        asset, key, replace(record, **fields), data_version=manifest.data_version, parameters=manifest.parameters
    )


def test_every_check_is_green_and_says_what_it_saw_for_one_video(platform: Platform) -> None:
    found = evaluations(platform.materialize("a.mp4"))
    assert {name: evaluation.passed for name, evaluation in found.items()} == dict.fromkeys(CHECKS, True)
    assert {name: evaluation.asset_key.to_user_string() for name, evaluation in found.items()} == CHECKS
    assert {evaluation.partition for evaluation in found.values()} == {"a.mp4"}
    rows = {row.data["what"]: row.data for row in found["frames_follow_sampling"].metadata["findings"].records}
    assert rows["samples"] == {"what": "samples", "seen": "30", "expected": "30", "holds": "yes"}
    assert rows["sample times (ms)"]["seen"] == "0 to 1160"


def test_a_batch_s_check_lists_every_video_and_names_the_one_that_fails(platform: Platform) -> None:
    assert platform.materialize("a.mp4", "b.mp4", "c.mp4").success
    assert check(platform, "probabilities_are_sound", "a.mp4", "c.mp4").passed
    good = platform.store.read("text_match", "b.mp4", TextMatch)
    tamper(platform, "text_match", "b.mp4", probabilities=good.probabilities * 2)
    evaluation = check(platform, "probabilities_are_sound", "a.mp4", "c.mp4")
    assert not evaluation.passed
    assert evaluation.description.startswith("1 of 3 videos are not as expected.\nb.mp4: row sum furthest from 1: 2.0")
    verdicts = {row.data["video"]: row.data["verdict"] for row in evaluation.metadata["findings"].records}
    assert verdicts["a.mp4"] == verdicts["c.mp4"] == "as expected"


@pytest.mark.dagster_bounds
def test_a_check_counts_for_each_video_of_a_batch_and_turns_with_the_next_run(platform: Platform) -> None:
    keys = ("a.mp4", "b.mp4", "c.mp4")
    assert platform.materialize(*keys).success
    for name in CHECKS:
        assert counted(platform, name) == {"SUCCEEDED": set(keys)}
    (Path(str(platform.store.path("text_match", "b.mp4"))) / "logits.npy").write_bytes(b"")
    check(platform, "probabilities_are_sound", *keys[::2])
    assert counted(platform, "probabilities_are_sound") == {"SUCCEEDED": {"a.mp4", "c.mp4"}, "FAILED": {"b.mp4"}}
    assert platform.materialize("b.mp4", config={"text_match": {"force": True}}).success
    assert counted(platform, "probabilities_are_sound") == {"SUCCEEDED": set(keys)}
    for _ in keys:  # now the newest events of all three are of one alone
        platform.instance.report_runless_asset_event(dg.AssetMaterialization("text_match", partition="c.mp4"))
    assert counted(platform, "probabilities_are_sound") == {"SUCCEEDED": {"a.mp4", "b.mp4"}}
    check(platform, "probabilities_are_sound", *keys[::2])
    assert counted(platform, "probabilities_are_sound") == {"SUCCEEDED": set(keys)}


def test_a_stored_file_that_was_broken_by_hand_turns_its_check_red(platform: Platform) -> None:
    platform.materialize("a.mp4")
    files = {"frames_follow_sampling": "indices", "features_are_sound": "clip", "probabilities_are_sound": "logits"}
    for name, array in files.items():
        path = Path(str(platform.store.path(CHECKS[name], "a.mp4"))) / f"{array}.npy"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        evaluation = check(platform, name, "a.mp4")
        assert not evaluation.passed
        assert f"{array}.npy has {len(data)} bytes with SHA-256" in evaluation.description


def test_a_stored_file_that_was_removed_by_hand_turns_its_check_red(platform: Platform) -> None:
    platform.materialize("a.mp4")
    (Path(str(platform.store.path("clip_features", "a.mp4"))) / "clip.npy").unlink()
    evaluation = check(platform, "features_are_sound", "a.mp4")
    assert not evaluation.passed
    assert "clip.npy is missing" in evaluation.description


def test_the_same_feature_for_different_pictures_is_red_as_from_a_frozen_decoder(platform: Platform) -> None:
    platform.materialize("a.mp4")
    rows = platform.store.read("clip_features", "a.mp4", ClipFeatures).clip.copy()
    rows[10:20] = rows[10]
    tamper(platform, "clip_features", "a.mp4", clip=rows)
    evaluation = check(platform, "features_are_sound", "a.mp4")
    assert not evaluation.passed
    assert "pictures of frames 10 to 19, which share a feature" in evaluation.description


def test_the_same_feature_for_the_same_picture_is_green(platform: Platform) -> None:
    with patch("clip_assets_tests.making.corpus._stored", lambda number, recipe: corpus.draw(0, *recipe.size)):
        corpus.constant_rate(platform.videos / "a.mp4")
    platform.materialize("a.mp4")
    rows = platform.store.read("clip_features", "a.mp4", ClipFeatures).clip.copy()
    rows[:] = rows[0]
    tamper(platform, "clip_features", "a.mp4", clip=rows)
    evaluation = check(platform, "features_are_sound", "a.mp4")
    assert evaluation.passed, evaluation.description
    findings = [row.data["what"] for row in evaluation.metadata["findings"].records]
    assert "difference of the pictures of frames 0 to 29, which share a feature" in findings


def test_features_are_not_counted_against_frames_of_another_sampling(platform: Platform) -> None:
    platform.materialize("a.mp4")
    platform.change(extraction_total=4)
    platform.materialize("a.mp4", assets=["frame_indices"])
    assert check(platform, "features_are_sound", "a.mp4").passed


@pytest.mark.parametrize("clip", [corpus.variable_rate, corpus.b_frames, corpus.edit_list])
def test_ffmpeg_s_selection_is_counted_by_what_ffmpeg_goes_by(platform: Platform, clip: Callable[[Path], Any]) -> None:
    clip(platform.videos / "a.mp4")
    platform.change(extraction_fps=7.0, frame_selection="ffmpeg")
    result = platform.materialize("a.mp4", assets=["frame_indices"])
    evaluation = evaluations(result)["frames_follow_sampling"]
    assert evaluation.passed, evaluation.description
    (platform.videos / "a.mp4").unlink()
    evaluation = check(platform, "frames_follow_sampling", "a.mp4")
    assert evaluation.passed, "the result is sound though its video is gone"
