"""What each asset's bytes depend on: composed once, with versions where an algorithm has more than one."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from clip_assets.core.digests import digest
from clip_assets.core.records import ClipFeatures, FrameIndices
from clip_assets.core.sampling import SAMPLING_VERSION, Sampling
from clip_assets.core.store import Store
from clip_assets.core.store.formats import Format
from clip_assets.core.store.manifest import Manifest
from clip_assets.results.assets import PER_VIDEO, Wish, wanted_parameters
from clip_assets.results.parameters import (
    Parameters,
    Unknown,
    differences,
    feature_parameters,
    frame_parameters,
    frames_sha256,
    is_outdated,
    of_frames,
    wanted_texts,
)
from clip_assets.results.staleness import in_words
from clip_assets.results.summaries import FeatureSummary, FrameSummary
from clip_assets.results.versions import code_versions
from clip_assets_tests.golden import golden_settings

TIMES = np.array([0.0, 40.0, 80.0])
FRAMES = FrameIndices(np.arange(3), TIMES, TIMES, 25.0, 3, 4, 4, 120.0)
FEATURES = feature_parameters(frame_parameters("a video", Sampling()), {"model_name": "a model"})


def features_of(frames: FrameIndices) -> ClipFeatures:
    clip = np.ones((len(frames.indices), 2), np.float32)
    return ClipFeatures(
        clip, frames.timestamps_ms, frames.source_timestamps_ms, frames.indices, frames.fps, "a model", "a digest"
    )


def stored_before(store: Store, frames: FrameIndices, damage: str = "none") -> Manifest:
    """Features of these frames as they were stored before there was a digest of frames."""
    summary = FeatureSummary(damage=damage).to_store()
    return store.write("clip_features", "a", features_of(frames), data_version="", parameters=FEATURES, summary=summary)


def chosen(frames: FrameIndices, treatment: dict[str, str] | None = None) -> FrameSummary:
    return FrameSummary(frames_sha256=frames_sha256(frames), treatment=treatment or {})


def test_features_and_the_frames_they_were_made_of_have_one_digest() -> None:
    assert frames_sha256(features_of(FRAMES)) == frames_sha256(FRAMES)


@pytest.mark.parametrize(
    "other",
    [
        replace(FRAMES, indices=np.array([0, 1, 1])),
        replace(FRAMES, timestamps_ms=TIMES + 1),
        replace(FRAMES, source_timestamps_ms=TIMES + 1),
        replace(FRAMES, fps=25.1),
    ],
)
def test_other_frames_times_or_rate_have_another_digest(other: FrameIndices) -> None:
    assert frames_sha256(other) != frames_sha256(FRAMES)


def test_a_digest_of_frames_never_changes_between_versions() -> None:
    assert frames_sha256(FRAMES) == "c1f45bf7e8ba4299fa989cada79e48b49cb815cf7e11bbc368ea2948d052d5ce"


@pytest.mark.parametrize("form", ["numpy", "pickle"])
def test_features_of_the_very_frames_keep_their_parameters_in_either_format(tmp_path: Path, form: Format) -> None:
    store = Store(tmp_path, form)
    stored = stored_before(store, FRAMES)
    assert of_frames(FEATURES, chosen(FRAMES), stored, store) == FEATURES
    other = replace(FRAMES, timestamps_ms=TIMES + 1)
    assert of_frames(FEATURES, chosen(other), stored, store) == {**FEATURES, "frames_sha256": frames_sha256(other)}


def test_features_of_a_treated_picture_or_of_a_damaged_video_or_of_other_settings_do_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    whole, told = stored_before(store, FRAMES), {"frames_sha256": frames_sha256(FRAMES)}
    treated = of_frames(FEATURES, chosen(FRAMES, {"aspect": "2:1"}), whole, store)
    assert treated == {**FEATURES, **told, "treatment": {"aspect": "2:1"}}
    asked = {**FEATURES, "model_name": "another"}
    assert of_frames(asked, chosen(FRAMES), whole, store) == {**asked, **told}
    damaged = stored_before(store, FRAMES, "the file ends early")
    assert of_frames(FEATURES, chosen(FRAMES), damaged, store) == {**FEATURES, **told}
    assert of_frames(FEATURES, chosen(FRAMES), None, store) == {**FEATURES, **told}


def test_a_pickle_that_is_gone_is_not_recognised(tmp_path: Path) -> None:
    store = Store(tmp_path, "pickle")
    stored = stored_before(store, FRAMES)
    (tmp_path / "clip_features" / "a" / "clip_features.pkl").unlink()
    assert "frames_sha256" in of_frames(FEATURES, chosen(FRAMES), stored, store)


def test_where_the_frames_are_not_told_nothing_is_added(tmp_path: Path) -> None:
    assert of_frames(FEATURES, FrameSummary(), None, Store(tmp_path)) == FEATURES


def test_frames_of_another_version_are_outdated_and_the_first_told_none() -> None:
    sampled = frame_parameters("a video", Sampling())
    assert not is_outdated(sampled)
    assert is_outdated({**sampled, "sampling_version": SAMPLING_VERSION + 1})
    assert is_outdated({name: value for name, value in sampled.items() if name != "sampling_version"})


def test_a_result_is_the_wanted_one_where_all_parameters_are_and_their_digests() -> None:
    made = {"source": "a video", "fps": 1.0, "treatment": {"aspect": "2:1"}}
    assert differences(made, dict(reversed(made.items()))) == {}
    for wanted, differing in (
        ({**made, "fps": 2.0}, {"fps": (1.0, 2.0)}),
        ({**made, "more": None}, {"more": (None, None)}),
        ({"source": "a video", "fps": 1.0}, {"treatment": ({"aspect": "2:1"}, None)}),
    ):
        assert differences(made, wanted) == differing
        assert digest(made) != digest(wanted)


@pytest.mark.parametrize(
    ("version", "asset"),
    [
        ("core.sampling.SAMPLING_VERSION", "frame_indices"),
        ("core.shots.SHOTS_VERSION", "shots"),
        ("core.matching.MATCHING_VERSION", "text_match"),
    ],
)
def test_a_mended_algorithm_makes_its_own_asset_stale_and_says_so(tmp_path: Path, version: str, asset: str) -> None:
    settings = golden_settings(tmp_path, tmp_path)

    def wanted() -> dict[str, Parameters]:
        return wanted_parameters(Wish(Sampling().parameters, {"model_name": "a model"}, wanted_texts(settings)))

    before, codes = wanted(), code_versions(settings)
    module, name = f"clip_assets.{version}".rsplit(".", 1)
    with patch(f"{module}.{name}", getattr(import_module(module), name) + 1):
        told = {other: in_words(differences(before[other], made)) for other, made in wanted().items()}
        changed = [other for other, code in code_versions(settings).items() if code != codes[other]]
    assert told.pop(asset) == ["made by another version of clip_assets"]
    assert not any(told.values())
    assert changed == [asset]


def test_what_is_unknown_equals_nothing_that_is_stored_and_code_versions_open_without_it(tmp_path: Path) -> None:
    assert differences({"weights_sha256": "gone"}, {"weights_sha256": Unknown("gone")}) != {}
    settings = golden_settings(tmp_path, tmp_path).model_copy(update={"model_name": "custom", "checkpoint": tmp_path})
    assert set(code_versions(settings)) == set(PER_VIDEO)
