"""OpenAI's network as it computes on CPUs, by either library, against OpenAI's own code."""

from __future__ import annotations

from pathlib import Path

import clip
import pytest
import torch

from clip_assets.core.cpu_network import compute_with
from clip_assets.core.kernels import onednn_kernels, torch_kernels
from clip_assets_tests.checkpoints import random_resnet, random_vit

TEXTS = ["a dog", "", "a " * 75]


@pytest.fixture(scope="module", params=[random_vit, random_resnet], ids=["ViT", "ResNet"])
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    path: Path = request.param(tmp_path_factory.mktemp("weights") / "x.pth")
    return dict(torch.load(path))


def network(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    return clip.model.build_model(dict(state)).float().requires_grad_(False)


@pytest.mark.parametrize("make", [torch_kernels, onednn_kernels])
@torch.inference_mode()
def test_features_are_those_of_openais_code(state, make):
    theirs, ours = network(state), network(state)
    compute_with(ours, make())
    pictures = torch.randn(3, 3, 64, 64)
    expected = theirs.encode_image(pictures)
    assert torch.pdist(expected).min() > 1e-3, "pictures that look alike to the network prove nothing"
    for count in (1, 3):
        torch.testing.assert_close(ours.encode_image(pictures[:count]), expected[:count], rtol=0, atol=1e-5)
    tokens = clip.tokenize(TEXTS)
    torch.testing.assert_close(ours.encode_text(tokens), theirs.encode_text(tokens), rtol=0, atol=1e-5)
    short = tokens[:2, :6]
    torch.testing.assert_close(ours.encode_text(short), theirs.encode_text(short), rtol=0, atol=1e-5)


def test_weights_are_not_kept_twice(state):
    ours = network(state)
    held = {name: tensor.data_ptr() for name, tensor in ours.state_dict().items()}
    compute_with(ours, onednn_kernels())
    ours.encode_image(torch.randn(1, 3, 64, 64))
    assert {name: tensor.data_ptr() for name, tensor in ours.state_dict().items()} == held
