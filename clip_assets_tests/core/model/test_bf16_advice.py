"""bf16 is recommended once, to long runs, by what was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from clip_assets.core.model import bf16_advice, kernels
from clip_assets.core.model.bf16_advice import Bf16Advice
from clip_assets.core.model.clip_model import ClipModel
from clip_assets.models import load_model
from clip_assets_tests.making.checkpoints import random_resnet, random_vit


@pytest.fixture(scope="module", params=[random_vit, random_resnet], ids=["ViT", "ResNet"])
def model(request, tmp_path_factory) -> ClipModel:
    folder = tmp_path_factory.mktemp("weights")
    return load_model("custom", checkpoint=request.param(folder / "x.pth"), weights_folder=folder)


def lines(model: ClipModel, *, seconds: float = 30.0, of: int = 1000) -> list[str]:
    """What is said where 10 frames took so long, and then 10 more."""
    written: list[str] = []
    times = iter([0.0, seconds, 2 * seconds])
    told = Bf16Advice(model, written.append, lambda: next(times))
    for _ in range(2):
        told.encoded(10, of)
    return written


def test_a_long_run_is_told_once_how_much_faster_bf16_is(model, monkeypatch):
    monkeypatch.setattr(bf16_advice, "bf16_gain", lambda *of: 2.94)
    (line,) = lines(model)
    assert "bf16 is 2.9 times as fast" in line
    monkeypatch.setattr(bf16_advice, "bf16_gain", lambda *of: 1.1)
    assert lines(model) == []


def test_nothing_is_measured_for_a_short_run_nor_in_another_precision_nor_on_a_gpu(model, monkeypatch):
    monkeypatch.setattr(bf16_advice, "bf16_gain", lambda *of: pytest.fail("measured"))
    assert lines(model, of=100) == []
    assert lines(model, seconds=5.0) == []
    assert lines(replace(model, precision="bf16")) == []
    assert lines(replace(model, device="cuda:0")) == []


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16"])
def test_bf16_is_measured_where_the_processor_has_it_and_only_there(model, monkeypatch, instructions):
    seen = []

    def measured(one, other, seconds):
        seen.append((one().dtype, other().dtype))
        return 2.5

    monkeypatch.setattr(kernels, "times_as_fast", measured)
    monkeypatch.setattr(kernels, "capabilities", dict)
    assert kernels.bf16_gain(model.image_flops, model.typical_layer) == 1.0
    assert seen == []
    monkeypatch.setattr(kernels, "capabilities", lambda: {instructions: True})
    assert kernels.bf16_gain(model.image_flops, model.typical_layer) == 2.5
    assert seen == [(torch.bfloat16, torch.float32)]
