"""The example of a user's own assets: they read the library's results, and store their own."""

from __future__ import annotations

import pickle
import runpy
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import Store

EXAMPLE = Path(__file__).parents[2] / "examples" / "mean_feature" / "definitions.py"
KEYS = ["rotated.mp4", "shapes.mp4", "variable_rate.mp4"]


@pytest.fixture
def definitions(demo_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIP_ASSETS_OUTPUT", str(demo_library / "output"))
    monkeypatch.setenv("CLIP_ASSETS_MODEL_NAME", "demo")
    return runpy.run_path(str(EXAMPLE))["defs"]


def test_own_assets_below_clip_features_read_one_video_s_record_and_then_all(
    definitions: dg.Definitions, demo_library: Path, tmp_path: Path
) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("videos", [*KEYS, "broken.mp4"])
        for key in KEYS:
            job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("mean_feature")], partition_key=key)
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("most_similar")])
        nearest = result.output_for_node("most_similar")

    store, means = Store(demo_library / "output"), {}
    for key in KEYS:
        mean = store.read("clip_features", key, ClipFeatures).clip.mean(axis=0)
        means[key] = mean / np.linalg.norm(mean)
        stored = pickle.loads((tmp_path / "means" / "mean_feature" / key).read_bytes())
        np.testing.assert_allclose(stored, means[key], atol=1e-6)
    assert nearest == {key: max(set(KEYS) - {key}, key=lambda other: means[other] @ means[key]) for key in KEYS}
