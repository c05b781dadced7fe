"""OpenAI's network as it computes on CPUs, by either library, against OpenAI's own code."""

from __future__ import annotations

from pathlib import Path

import clip
import pytest
import torch

from clip_assets.core.model.kernels import onednn_kernels, torch_kernels
from clip_assets.core.model.openai.cpu_network import compute_with
from clip_assets_tests.making.checkpoints import random_resnet, random_vit

TEXTS = ["a dog", "", "a " * 75]


@pytest.fixture(scope="module", params=[random_vit, random_resnet], ids=["ViT", "ResNet"])
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    path: Path = request.param(tmp_path_factory.mktemp("weights") / "x.pth")
    return dict(torch.load(path))


def network(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    return clip.model.build_model(dict(state)).float().requires_grad_(False)


@pytest.mark.parametrize(("make", "tolerance"), [(torch_kernels, 1e-6), (onednn_kernels, 1e-5)])
@torch.inference_mode()
def test_features_are_those_of_openais_code(state, make, tolerance):
    """Of as many pictures at once: by another number OpenAI's code differs from itself by more. Of the largest value,
    since the features of these random networks reach 10."""
    torch.manual_seed(0)
    theirs, ours = network(state), network(state)
    compute_with(ours, make())

    def assert_same(computed, expected):
        torch.testing.assert_close(computed, expected, rtol=0, atol=tolerance * float(expected.abs().max()))

    pictures = torch.randn(3, 3, 64, 64)
    expected = theirs.encode_image(pictures)
    assert torch.pdist(expected).min() > 1e-3, "pictures that look alike to the network prove nothing"
    assert_same(ours.encode_image(pictures), expected)
    assert_same(ours.encode_image(pictures[:1]), theirs.encode_image(pictures[:1]))
    tokens = clip.tokenize(TEXTS)
    assert_same(ours.encode_text(tokens), theirs.encode_text(tokens))
    assert_same(ours.encode_text(tokens[:2, :6]), theirs.encode_text(tokens[:2, :6]))


def test_weights_are_not_kept_twice(state):
    ours = network(state)
    held = {name: tensor.data_ptr() for name, tensor in ours.state_dict().items()}
    compute_with(ours, onednn_kernels())
    ours.encode_image(torch.randn(1, 3, 64, 64))
    assert {name: tensor.data_ptr() for name, tensor in ours.state_dict().items()} == held
