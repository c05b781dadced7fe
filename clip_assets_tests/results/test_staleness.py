"""What changed shows as stale in Dagster, at once on all it touches and nowhere else, and costs only what it must."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.partitions import partition_tags, version_events
from clip_assets.results.states import video_states
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_resnet, random_vit
from clip_assets_tests.making.platform import ASSETS, Platform, make_platform, platform_of_single_frames

SINGLE, BATCH = "single.mp4", ("one.mp4", "two.mp4", "three.mp4")
EVERY = (SINGLE, *BATCH)


@contextmanager
def filled_platform(folder: Path) -> Iterator[Platform]:
    with platform_of_single_frames(folder, EVERY) as made:
        assert made.materialize(SINGLE).success
        assert made.materialize(*BATCH).success
        yield made


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Four videos: one materialized on its own, three in a batch."""
    with filled_platform(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with filled_platform(tmp_path_factory.mktemp("filled")) as made:
        yield made


@pytest.fixture
def reloaded(filled_once: Platform) -> Platform:
    """Such a platform for several tests, of which nothing but the settings may be changed."""
    return replace(filled_once)


def stale(platform: Platform) -> dict[str, set[str]]:
    """For each asset the partitions that Dagster shows as stale, after a reload."""
    graph = build_definitions(platform.settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(platform.instance, graph, LoadingContextForTest(platform.instance))
    return {
        asset: {key for key in EVERY if resolver.get_status(dg.AssetKey(asset), key).name != "FRESH"}
        for asset in ASSETS
    }


def observe(platform: Platform, *keys: str) -> dg.ExecuteInProcessResult:
    """What the UI's button does; of everything where no partition is chosen."""
    job = build_definitions(platform.settings).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=platform.instance,
        asset_selection=[dg.AssetKey("video")],
        tags=partition_tags(keys) if keys else None,
    )


def observed(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.partition for event in result.all_events if event.is_asset_observation}


def materializations(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.partition for event in result.all_events if event.is_step_materialization}


NOTHING: dict[str, set[str]] = {asset: set() for asset in ASSETS}


CHANGES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "sampling": ({"extraction_total": 1}, ASSETS),
    "precision": ({"precision": "bf16"}, ASSETS[1:]),
    "decoder": ({"decoder": "decord"}, ASSETS[1:]),
    "damage": ({"on_damage": "keep"}, ASSETS[1:]),
    "sentences": ({"pred_texts": ["other"]}, ["text_match"]),
    "order of sentences": ({"pred_texts": ["a blue square", "a red circle"]}, ["text_match"]),
    "batch size": ({"batch_size": 3}, []),
    "videos per run": ({"videos_per_run": 3}, []),
}


def test_a_changed_setting_is_stale_at_once_where_bytes_depend_on_it_and_below(reloaded: Platform) -> None:
    assert stale(reloaded) == NOTHING, "what was just made, alone and in a batch"
    before = reloaded.settings
    for what, (settings, assets) in CHANGES.items():
        reloaded.settings = before
        reloaded.change(**settings)
        assert stale(reloaded) == {asset: set(EVERY) if asset in assets else set() for asset in ASSETS}, what


def test_other_weights_are_stale_on_the_features_and_below(reloaded: Platform, tmp_path: Path) -> None:
    expected = {asset: set(EVERY) if asset in ASSETS[1:] else set() for asset in ASSETS}
    copy = random_vit(tmp_path / "vit.pth")
    reloaded.change(checkpoint=copy)
    assert stale(reloaded) == NOTHING, "the same bytes in another file"
    random_vit(copy, seed=1)
    assert stale(reloaded) == expected, "other bytes in the same file"
    reloaded.change(checkpoint=random_resnet(tmp_path / "resnet.pth"))
    assert stale(reloaded) == expected, "another file"


def test_bringing_a_change_up_to_date_makes_everything_fresh_again(platform: Platform) -> None:
    platform.change(extraction_total=1, pred_texts=["other"])
    assert platform.materialize(SINGLE).success
    assert platform.materialize(*BATCH).success
    assert stale(platform) == NOTHING


@pytest.mark.parametrize("key", [SINGLE, BATCH[1]])
def test_a_changed_video_is_stale_on_its_frames_first_and_the_others_stay_fresh(platform: Platform, key: str) -> None:
    corpus.constant_rate(platform.videos / key)
    observe(platform)
    assert stale(platform) == {**NOTHING, "frame_indices": {key}}
    assert platform.materialize(key, assets=["frame_indices"]).success
    assert stale(platform)["frame_indices"] == set()
    assert key in stale(platform)["clip_features"]


def test_a_run_of_all_three_brings_a_changed_video_up_to_date(platform: Platform) -> None:
    corpus.constant_rate(platform.videos / BATCH[1])
    observe(platform, BATCH[1])
    assert platform.materialize(BATCH[1]).success
    assert stale(platform) == NOTHING


def test_the_status_command_knows_the_truth_of_each_partition_where_dagster_has_one_version_a_batch(
    platform: Platform,
) -> None:
    corpus.constant_rate(platform.videos / BATCH[1])
    states = {
        video.key: {asset: found.state for asset, found in video.assets.items()}
        for video in video_states(platform.settings, EVERY, {})
    }
    assert states.pop(BATCH[1]) == dict.fromkeys(ASSETS, "stale")
    assert all(state == dict.fromkeys(ASSETS, "done") for state in states.values())


def filled(platform: Platform) -> set[str]:
    return platform.instance.get_materialized_partitions(dg.AssetKey("video"))


def test_the_partitions_of_video_are_filled_by_registering_them(reloaded: Platform) -> None:
    assert filled(reloaded) == set(EVERY)


@pytest.mark.dagster_bounds
def test_a_library_that_was_only_observed_is_filled_when_it_is_observed_again(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        platform = make_platform(tmp_path, instance)
        for key in EVERY:
            corpus.single_frame(platform.videos / key)
        with patch("clip_assets.orchestration.instance.version_events", lambda *of: version_events(*of)[:1]):
            platform.add(*EVERY)
        assert platform.materialize(SINGLE).success
        assert platform.materialize(*BATCH).success
        assert filled(platform) == set()
        assert materializations(observe(platform)) == filled(platform) == set(EVERY)
        assert stale(platform) == NOTHING
        assert materializations(observe(platform)) == set(), "nothing has changed since"
        corpus.constant_rate(platform.videos / SINGLE)
        assert materializations(observe(platform)) == {SINGLE}
        assert stale(platform)["frame_indices"] == {SINGLE}
        assert platform.materialize(SINGLE).success
        assert stale(platform) == NOTHING


def test_an_observation_looks_at_what_was_asked_for_and_is_there_and_makes_nothing_stale(platform: Platform) -> None:
    assert observed(observe(platform, SINGLE)) == {SINGLE}
    assert observed(observe(platform, *BATCH[:2])) == set(BATCH[:2])
    (platform.videos / SINGLE).unlink()
    assert observed(observe(platform)) == set(BATCH)
    assert stale(platform) == NOTHING


def test_an_upstream_partition_that_was_made_again_unchanged_costs_no_computing_below(platform: Platform) -> None:
    assert platform.materialize(BATCH[1], assets=["clip_features"]).success
    platform.as_new()
    with (
        patch("clip_assets.core.pipeline.decoding.decode", side_effect=AssertionError("decoded")),
        patch("clip_assets.orchestration.resources.load_model", side_effect=AssertionError("loaded")),
    ):
        assert platform.materialize(BATCH[1], assets=ASSETS[2:]).success
    assert stale(platform) == NOTHING


def test_changing_only_the_sentences_decodes_no_video_and_encodes_no_frame(platform: Platform) -> None:
    platform.change(pred_texts=["one", "two", "three"])
    with (
        patch("clip_assets.core.pipeline.decoding.decode") as decode,
        patch("clip_assets.orchestration.resources.VideoLibrary.probe") as probe,
        patch("clip_assets.core.model.clip_model.ClipModel.encode_images") as encode,
    ):
        assert platform.materialize(SINGLE).success
        assert platform.materialize(*BATCH).success
    assert (decode.call_count, probe.call_count, encode.call_count) == (0, 0, 0)
    assert stale(platform) == NOTHING
