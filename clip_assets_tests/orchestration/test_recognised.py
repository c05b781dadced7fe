"""What is stored already is recognised in a new process, without weights, without network and without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest
import torch

from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import ASSETS, make_platform

KEYS = ("a.mp4", "b.mp4", "c.mp4")

RUN = f"""
import sys
import dagster as dg
from clip_assets.definitions import defs
with dg.DagsterInstance.ephemeral() as instance:
    instance.add_dynamic_partitions("videos", {list(KEYS)})
    tags = {{"dagster/asset_partition_range_start": {KEYS[0]!r}, "dagster/asset_partition_range_end": {KEYS[-1]!r}}}
    defs.resolve_job_def("extract_clip_features").execute_in_process(instance=instance, tags=tags)
heavy = {{"torch", "torchvision", "clip", "av", "decord", "matplotlib"}}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.cluster
@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU, torch is asked for it")
def test_a_fully_stored_run_needs_no_weights_and_loads_no_heavy_library(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        platform = make_platform(tmp_path, instance)
        for key in KEYS:
            corpus.single_frame(platform.videos / key)
        platform.add(*KEYS)
        weights = Path(platform.settings.checkpoint)
        platform.change(model_name="ViT-B/32", weights=tmp_path / "none", device_ids="auto")
        with patch("clip_assets.core.model.openai.family.find_weights", lambda *of, **where: weights):
            assert platform.materialize(*KEYS).success
    before = {asset: [platform.store.manifest(asset, key) for key in KEYS] for asset in ASSETS}
    environment = {
        **os.environ,
        "CLIP_ASSETS_VIDEOS": str(platform.videos),
        "CLIP_ASSETS_OUTPUT": platform.settings.output,
        "CLIP_ASSETS_WEIGHTS": str(tmp_path / "none"),
        "CLIP_ASSETS_PRED_TEXTS": "[a red circle, a blue square]",
        "CLIP_ASSETS_PICTURES": "off",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    run = subprocess.run(
        [sys.executable, "-c", RUN], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "[]\n"
    assert not (tmp_path / "none").exists(), "weights were looked for"
    assert {asset: [platform.store.manifest(asset, key) for key in KEYS] for asset in ASSETS} == before
