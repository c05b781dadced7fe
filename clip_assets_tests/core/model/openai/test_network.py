"""OpenAI's network and tokens, without importing what they don't need."""

from __future__ import annotations

import importlib.util
import time

import clip
import pytest
import torch

from clip_assets.core.errors import ModelError, TextError
from clip_assets.core.model.openai import network as network_module
from clip_assets.core.model.openai.network import build_network, tokenize

VIT_L_14 = {
    "embed_dim": 768, "image_resolution": 224, "vision_layers": 24, "vision_width": 1024, "vision_patch_size": 14,
    "context_length": 77, "vocab_size": 49408, "transformer_width": 768, "transformer_heads": 12,
    "transformer_layers": 12,
}  # fmt: skip


def test_tokens_are_those_of_the_package_without_the_padding_that_all_share() -> None:
    texts = ["a dog", "", "a photo of a man lifting weights", "Ein Hund läuft! 123", "a " * 75]
    assert torch.equal(tokenize(texts, 77), clip.tokenize(texts))
    short = tokenize(texts[:3], 77)
    assert torch.equal(short, clip.tokenize(texts[:3])[:, : short.shape[1]])
    assert short.shape == (3, 9)


def test_a_text_that_is_too_long_is_named() -> None:
    with pytest.raises(TextError, match="'cat cat cat' has 5 tokens; the model takes at most 4"):
        tokenize(["cat", "cat cat cat"], 4)


@pytest.mark.parametrize("resnet", [False, True], ids=["ViT", "ResNet"])
def test_the_network_is_the_packages(resnet: bool) -> None:
    sizes = VIT_L_14 | {"vision_layers": 1, "transformer_layers": 1}
    if resnet:
        sizes |= {"vision_layers": (1, 1, 1, 1), "vision_patch_size": None, "vision_width": 64}
    ours, theirs = build_network(**sizes), clip.model.CLIP(**sizes)
    shapes = [{name: value.shape for name, value in network.state_dict().items()} for network in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert str(ours) == str(theirs)


def test_no_weight_is_drawn() -> None:
    state = torch.random.get_rng_state()
    began = time.process_time()
    build_network(**VIT_L_14)
    assert time.process_time() - began < 2, "drawing the weights takes 5 s"
    assert torch.equal(torch.random.get_rng_state(), state)


def test_another_package_of_that_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    other = importlib.util.spec_from_loader("clip", loader=None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: other)
    network_module._module.cache_clear()
    with pytest.raises(ModelError, match=r"isn't OpenAI's\. Install clip-anytorch"):
        build_network(**VIT_L_14)
