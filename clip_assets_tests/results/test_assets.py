"""A new asset is one file and one row: it is computed, stored, told and kept up to date like the others."""

import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import dagster as dg
import numpy as np
import pytest
from numpy.typing import NDArray

from clip_assets.core.store import Store
from clip_assets.core.store.manifest import Manifest
from clip_assets.orchestration.assets.catalogue import ArrayDoc, catalogue_entry
from clip_assets.orchestration.assets.common import ForceConfig, want_each
from clip_assets.orchestration.in_process import Execution, Listener
from clip_assets.orchestration.io_managers import StoredResults
from clip_assets.orchestration.run_plan import Asked, make_plan
from clip_assets.orchestration.run_progress import Progress
from clip_assets.orchestration.work import Computed, Failed, Work
from clip_assets.results.assets import PER_VIDEO, PerVideoAsset
from clip_assets.results.sections import sections
from clip_assets.results.states import video_states
from clip_assets.results.tables import Told
from clip_assets.settings import Settings
from clip_assets_tests.making.platform import platform_of_single_frames


@dataclass(frozen=True, eq=False)
class MeanFeature:
    """The mean of a video's features.

    Attributes:
        mean: float32 (D,).
    """

    mean: NDArray[np.float32]


def build(settings: Settings, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    arrays = [ArrayDoc("mean", "(D,)", "float32", "mean of the features")]

    @dg.asset(**catalogue_entry("mean_feature", settings, partitions, "The mean feature.", arrays))
    def mean_feature(
        context: dg.AssetExecutionContext, config: ForceConfig, clip_features: StoredResults
    ) -> dg.Output[Work]:
        wanted, failed = want_each(context.partition_keys, lambda key: dict(clip_features.parameters(key), mean=1))

        def compute(keys: Sequence[str], _: Progress) -> Generator[Computed | Failed]:
            for key in keys:
                yield Computed(key, MeanFeature(clip_features[key].clip.mean(axis=0)), wanted[key], {"norm": 1})

        return Work(wanted, failed, compute, describe=lambda summary: summary, force=config.force).output()

    return mean_feature


def told(manifest: Manifest) -> Told:
    return f"norm {manifest.summary['norm']}", []


def test_a_row_and_a_file_make_an_asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("clip_assets.orchestration.assets.mean_feature")
    module.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    row = PerVideoAsset("mean_feature", MeanFeature, lambda wish, above: {**above["clip_features"], "mean": 1}, told)
    with platform_of_single_frames(tmp_path, ["a.mp4", "b.mp4"]) as platform:
        platform.change(settle_seconds=0)
        platform.materialize("a.mp4", "b.mp4")
        monkeypatch.setitem(PER_VIDEO, row.name, row)  # type: ignore[arg-type]  # a dict
        plan = make_plan(platform.instance, platform.settings, Asked())
        assert [task.assets for task in plan.tasks] == [("mean_feature",), ("mean_feature",)]
        Execution(platform.instance, platform.settings, Listener()).execute(plan.tasks)
        store = Store(platform.settings.output)
        assert store.read("mean_feature", "a.mp4", MeanFeature).mean.shape == (48,)
        assert {video.state for video in video_states(platform.settings, ["a.mp4", "b.mp4"], {})} == {"done"}
        assert sections(store, "a.mp4")[-1].note == "norm 1"
