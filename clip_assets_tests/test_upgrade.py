"""Results of an earlier version keep their truth: what came out the same is recognised, the rest is stale.

The tests take `golden/`, which an earlier version stored, in order; the platform of today comes upon a copy of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from clip_assets.core.digests import digest
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import Manifest
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.states import video_states
from clip_assets.results.summaries import FeatureSummary, FrameSummary, MatchSummary, Summary
from clip_assets.results.versions import code_versions
from clip_assets.results.video_status import AssetState
from clip_assets_tests.golden import FORMATS, OUTPUT, VIDEOS, golden_settings
from clip_assets_tests.making.platform import Platform

ASSETS = ("frame_indices", "clip_features", "text_match")
"""What the earlier version stored."""

SAME = ("plain.mp4", "pickled.mp4")
OTHER = ("wide_pixels.mp4", "torn.mp4")
BELOW = ASSETS[1:]
SUMMARIES: dict[str, type[Summary]] = {
    "frame_indices": FrameSummary,
    "clip_features": FeatureSummary,
    "text_match": MatchSummary,
}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Today's, over what the earlier version stored."""
    shutil.copytree(VIDEOS, tmp_path / "videos")
    shutil.copytree(OUTPUT, tmp_path / "output")
    with dg.DagsterInstance.ephemeral() as instance:
        made = Platform(tmp_path, instance, golden_settings(tmp_path / "videos", tmp_path / "output"))
        made.add(*FORMATS)
        yield made


def states(platform: Platform) -> dict[str, dict[str, AssetState]]:
    return {video.key: dict(video.assets) for video in video_states(platform.settings, list(FORMATS), {})}


def words(platform: Platform) -> dict[str, list[str]]:
    return {key: [found[asset].state for asset in ASSETS] for key, found in states(platform).items()}


def files(platform: Platform, asset: str, key: str) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of every file of a result."""
    folder = Path(str(platform.store.path(asset, key)))
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def manifest(store: Store, asset: str, key: str) -> Manifest:
    found = store.manifest(asset, key)
    assert found is not None
    return found


@pytest.mark.parametrize("key", FORMATS)
def test_what_schema_1_holds_is_read_whole(key: str) -> None:
    store = Store(OUTPUT)
    for asset in ASSETS:
        assert manifest(store, asset, key).format == FORMATS[key]
        record = store.read(asset, key, PER_VIDEO[asset].record)
        assert len(record.timestamps_ms) == FrameSummary.read(manifest(store, asset, key).summary).frames


def test_data_versions_are_still_digests_of_the_stored_parameters() -> None:
    for key in FORMATS:
        for asset in ASSETS:
            found = manifest(Store(OUTPUT), asset, key)
            assert found.data_version == digest(found.parameters)


def test_frame_indices_are_stale_and_all_else_is_done(platform: Platform) -> None:
    assert words(platform) == {key: ["stale", "done", "done"] for key in FORMATS}
    assert {found["frame_indices"].reason for found in states(platform).values()} == {
        "made by another version of clip_assets"
    }


def test_dagster_is_told_of_another_version_of_frame_indices_alone(platform: Platform) -> None:
    versions = code_versions(platform.settings)
    for asset in ASSETS:
        before = {
            name: value
            for name, value in manifest(platform.store, asset, "plain.mp4").parameters.items()
            if name != "source"
        }
        assert (versions[asset] == digest(before)[:12]) == (asset != "frame_indices")


def test_features_of_old_frames_are_recognised_but_none_are_computed(platform: Platform) -> None:
    before = files(platform, "clip_features", "plain.mp4")
    assert platform.materialize("plain.mp4", assets=["clip_features"]).success
    assert files(platform, "clip_features", "plain.mp4") == before
    forced = platform.materialize("plain.mp4", assets=["clip_features"], config={"clip_features": {"force": True}})
    assert not forced.success
    (failure,) = [event for event in forced.all_events if event.is_step_failure]
    assert "Materialize frame_indices of it again" in str(failure.step_failure_data)


def test_what_came_out_the_same_is_recognised_and_the_rest_is_computed_anew(platform: Platform) -> None:
    kept = {(asset, key): files(platform, asset, key) for asset in BELOW for key in SAME}
    old = {(asset, key): files(platform, asset, key) for asset in BELOW for key in OTHER}

    assert platform.materialize(*FORMATS, assets=["frame_indices"]).success
    found = words(platform)
    assert [found[key] for key in SAME] == [["done", "done", "done"]] * len(SAME)
    assert [found[key] for key in OTHER] == [["done", "stale", "stale"]] * len(OTHER)

    assert platform.materialize(*FORMATS, assets=list(BELOW)).success
    assert words(platform) == {key: ["done", "done", "done"] for key in FORMATS}
    assert {(asset, key): files(platform, asset, key) for asset in BELOW for key in SAME} == kept
    for asset, key in old:
        assert files(platform, asset, key) != old[asset, key]
        parameters = manifest(platform.store, asset, key).parameters
        chosen = FrameSummary.read(manifest(platform.store, "frame_indices", key).summary)
        assert parameters["frames_sha256"] == chosen.frames_sha256
        assert parameters.get("treatment", {}) == chosen.treatment
        assert "sampling_version" not in parameters

    for asset, kind in SUMMARIES.items():
        summary = kind.read(manifest(platform.store, asset, OTHER[0]).summary)
        assert None not in summary.model_dump().values(), "a new result tells everything"


def test_a_run_of_all_three_gives_what_came_out_the_same_its_old_data_version(platform: Platform) -> None:
    old = {asset: manifest(platform.store, asset, "plain.mp4").data_version for asset in ASSETS}
    result = platform.materialize("plain.mp4")
    assert result.success
    for asset in ASSETS:
        (event,) = result.asset_materializations_for_node(asset)
        assert (event.tags["dagster/data_version"] == old[asset]) == (asset in BELOW)
