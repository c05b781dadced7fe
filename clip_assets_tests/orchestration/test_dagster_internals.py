"""What is taken from Dagster's private API is what Dagster itself does, and without it the public ways hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from clip_assets.core.errors import ResultMissingError
from clip_assets.core.matching import match_texts
from clip_assets.orchestration import dagster_internals
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import Platform, platform_of_single_frames

pytestmark = pytest.mark.dagster_bounds

KEYS = ("a.mp4", "b.mp4")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with platform_of_single_frames(tmp_path, KEYS) as made:
        yield made


def tags(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dict[str, str]]:
    """What each partition's materialization says of itself, without what is another in each run."""
    events = result.asset_materializations_for_node(asset)
    return {
        event.partition: {
            name: value
            for name, value in event.tags.items()
            if "event_pointer" not in name and name != "dagster/data_version"
        }
        for event in events
    }


def without_private_api(function: str) -> Any:
    """A patch of the IO manager: one of our functions finds nothing private in Dagster."""
    real = getattr(dagster_internals, function)

    def call(context: dg.OutputContext, *arguments: Any) -> Any:
        return real(SimpleNamespace(asset_key=context.asset_key, step_context=object()), *arguments)

    return patch(f"clip_assets.orchestration.io_managers.{function}", call)


def fail_at_b() -> Any:
    keys = iter(KEYS)

    def match(*arguments: Any) -> Any:
        if next(keys) == "b.mp4":
            raise ResultMissingError("gone")
        return match_texts(*arguments)

    return patch("clip_assets.orchestration.assets.text_match.match_texts", match)


def test_what_a_failing_step_records_says_what_dagster_would_have_said(platform: Platform) -> None:
    with fail_at_b():
        failed = platform.materialize(*KEYS)
    assert not failed.success
    recorded = tags(failed, "text_match")
    assert set(recorded) == {"a.mp4"}
    succeeded = platform.materialize(*KEYS)
    assert succeeded.success
    assert recorded["a.mp4"] == tags(succeeded, "text_match")["a.mp4"]
    assert recorded["a.mp4"]["dagster/input_data_version/clip_features"]


def test_without_private_provenance_the_data_version_is_recorded(platform: Platform) -> None:
    with fail_at_b(), without_private_api("provenance_tags"):
        failed = platform.materialize(*KEYS)
    assert not failed.success
    (event,) = failed.asset_materializations_for_node("text_match")
    assert event.tags["dagster/data_version"] == platform.store.manifest("text_match", "a.mp4").data_version


def test_without_private_metadata_each_partition_still_has_its_own(platform: Platform) -> None:
    corpus.constant_rate(platform.videos / "b.mp4")
    with without_private_api("add_partition_metadata"):
        result = platform.materialize(*KEYS)
    assert result.success
    for asset in ("frame_indices", "clip_features"):
        events = result.asset_materializations_for_node(asset)
        assert {e.partition: e.metadata["sampled_frames"].value for e in events} == {"a.mp4": 1, "b.mp4": corpus.FRAMES}
