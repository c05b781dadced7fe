"""Many partitions in one run: results are stored as they come, a second run computes what is missing, force all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from clip_assets.core import matching
from clip_assets.core.pipeline.decoding import decode
from clip_assets.core.store import Store
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import ASSETS, Platform, platform_of_single_frames

KEYS = ("a.mp4", "b.mp4", "c.mp4", "d.mp4")


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with platform_of_single_frames(tmp_path, KEYS) as made:
        yield made


def created(platform: Platform, asset: str) -> dict[str, str]:
    return {key: platform.store.manifest(asset, key).created for key in platform.store.keys(asset)}


def test_each_result_is_stored_before_the_next_one_is_computed(platform: Platform) -> None:
    stored: list[int] = []

    def match(*arguments: Any) -> Any:
        stored.append(len(list(platform.store.keys("text_match"))))
        return matching.match_texts(*arguments)

    with patch("clip_assets.orchestration.assets.text_match.match_texts", match):
        assert platform.materialize(*KEYS).success
    assert stored == [0, 1, 2, 3]


def test_after_a_crash_only_what_is_missing_is_computed(platform: Platform) -> None:
    write, written = Store.write, []

    def die_at_the_third(store: Store, asset: str, key: str, *arguments: Any, **named: Any) -> Any:
        if asset == "clip_features" and len(written) == 2:
            raise MemoryError("killed")
        written.extend([key] if asset == "clip_features" else [])
        return write(store, asset, key, *arguments, **named)

    with patch.object(Store, "write", die_at_the_third):
        assert not platform.materialize(*KEYS).success
    before = created(platform, "clip_features")
    assert list(before) == ["a.mp4", "b.mp4"]
    with patch("clip_assets.core.pipeline.decoding.decode", wraps=decode) as decoded:
        assert platform.materialize(*KEYS).success
    assert sorted(call.args[0].path.name for call in decoded.call_args_list) == ["c.mp4", "d.mp4"]
    assert created(platform, "clip_features").items() > before.items()


def test_a_result_that_cannot_be_written_fails_its_video_alone(platform: Platform) -> None:
    folder = Path(platform.settings.output) / "frame_indices"
    folder.mkdir(parents=True)
    (folder / "b.mp4").write_text("in the way")
    result = platform.materialize(*KEYS, assets=["frame_indices"])
    assert list(created(platform, "frame_indices")) == ["a.mp4", "c.mp4", "d.mp4"]
    assert {event.partition for event in result.asset_materializations_for_node("frame_indices")} == {
        *("a.mp4", "c.mp4", "d.mp4")
    }
    (failure,) = result.get_step_failure_events()
    assert re.search(r"b\.mp4: .*can't be written: .*CLIP_ASSETS_OUTPUT", str(failure.step_failure_data))


def test_force_computes_a_whole_batch_again(platform: Platform) -> None:
    assert platform.materialize(*KEYS).success
    before = {asset: created(platform, asset) for asset in ASSETS}
    assert platform.materialize(*KEYS, config={asset: {"force": True} for asset in ASSETS}).success
    for asset in ASSETS:
        after = created(platform, asset)
        assert all(after[key] > before[asset][key] for key in KEYS)


def test_a_changed_video_alone_is_computed_again_in_a_batch(platform: Platform) -> None:
    assert platform.materialize(*KEYS).success
    before = {asset: created(platform, asset) for asset in ASSETS}
    corpus.constant_rate(platform.videos / "c.mp4")
    assert platform.materialize(*KEYS).success
    for asset in ASSETS:
        after = created(platform, asset)
        assert {key for key in KEYS if after[key] != before[asset][key]} == {"c.mp4"}


def test_the_database_is_not_asked_for_all_partitions_once_for_each_video(platform: Platform) -> None:
    counts = []
    for keys in (KEYS[:2], KEYS):
        listing = platform.instance.get_dynamic_partitions
        with patch.object(type(platform.instance), "get_dynamic_partitions", side_effect=listing) as listed:
            assert platform.materialize(*keys).success
        counts.append(listed.call_count)
    assert counts[0] == counts[1]
