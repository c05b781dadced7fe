"""Which library computes: what is measured, what is remembered, and what happens where it can't be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from clip_assets.core.model import kernels as kernels_module
from clip_assets.core.model.kernels import Kernels, TypicalLayer, fastest_kernels, onednn_kernels, times_as_fast
from clip_assets.core.model.openai.cpu_network import typical_layer
from clip_assets.core.model.openai.flops import image_flops
from clip_assets_tests.making.checkpoints import random_network

SHAPES = {
    "ViT": {"image_resolution": 32, "vision_layers": 1, "vision_width": 64, "vision_patch_size": 32},
    "ResNet": {
        "image_resolution": 64,
        "vision_layers": (1, 1, 1, 1),
        "vision_width": 8,
        "vision_patch_size": None,
    },
}


@pytest.fixture(scope="module", params=list(SHAPES))
def network(request: pytest.FixtureRequest) -> tuple[int, TypicalLayer]:
    network = random_network(0, **SHAPES[request.param])
    return image_flops(network), typical_layer(network)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Every network is worth a measurement; the list gives the ones to come, from its end."""
    gains: list[float] = []

    def next_gain(one: Callable[[], object], other: Callable[[], object], seconds: float) -> float:
        one(), other()
        return gains.pop()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernels_module, "_LEAST_FLOPS", 0)
    monkeypatch.setattr(kernels_module, "times_as_fast", next_gain)
    return gains


@pytest.mark.parametrize(("gain", "name"), [(2.0, "oneDNN"), (1.0, "torch"), (0.5, "torch")])
def test_the_faster_is_taken_and_measured_once(network, measured, gain, name):
    measured.append(gain)
    threads = torch.get_num_threads()
    assert [fastest_kernels(*network).name for _ in range(2)] == [name, name]
    assert torch.get_num_threads() == threads


def test_nothing_is_computed_where_torch_is_known_to_be_as_fast(network, measured, monkeypatch):
    measured.append(1.0)
    assert fastest_kernels(*network).name == "torch"
    monkeypatch.setattr(kernels_module, "onednn_kernels", lambda: Kernels("oneDNN", pytest.fail, pytest.fail))
    monkeypatch.setattr(kernels_module, "torch_kernels", lambda: Kernels("torch", pytest.fail, pytest.fail))
    assert fastest_kernels(*network).name == "torch"


def test_another_torch_is_measured_anew(network, measured, monkeypatch):
    measured.extend([2.0, 1.0])
    assert fastest_kernels(*network).name == "torch"
    monkeypatch.setattr(torch, "__version__", "0.0.0")
    assert fastest_kernels(*network).name == "oneDNN"


def test_a_small_network_is_not_measured(network, measured, monkeypatch):
    monkeypatch.setattr(kernels_module, "_LEAST_FLOPS", 10**9)
    assert fastest_kernels(*network).name == "torch"


def without_operator(*_: object) -> torch.Tensor:
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


def other_linear(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.linear(x, weight) + 1.01 * bias


def other_convolution(module: torch.nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    return 1.001 * module.forward(x)


@pytest.mark.parametrize(
    "broken",
    [Kernels("oneDNN", without_operator, without_operator), Kernels("oneDNN", other_linear, other_convolution)],
    ids=["missing", "other result"],
)
def test_an_operator_that_is_missing_or_gives_something_else_is_not_used(network, measured, monkeypatch, broken):
    """Not even where it was remembered to be faster."""
    with monkeypatch.context() as patched:
        patched.setattr(kernels_module, "onednn_kernels", lambda: broken)
        assert fastest_kernels(*network).name == "torch"
        measured.append(2.0)
    assert fastest_kernels(*network).name == "oneDNN"
    monkeypatch.setattr(kernels_module, "onednn_kernels", lambda: broken)
    assert fastest_kernels(*network).name == "torch"


def test_this_torch_has_the_operators():
    x, layer, convolution = torch.randn(5, 8), torch.nn.Linear(8, 4), torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
    with torch.inference_mode():
        product = onednn_kernels().linear(x, layer.weight, layer.bias)
        torch.testing.assert_close(product, layer(x), rtol=0, atol=1e-6)
        picture = torch.randn(1, 3, 9, 9)
        convolved = onednn_kernels().convolution(convolution, picture)
        torch.testing.assert_close(convolved, convolution(picture), rtol=0, atol=1e-6)


def test_what_takes_longer_is_told():
    assert times_as_fast(lambda: None, lambda: sum(range(10_000)), 0.001) > 1
    assert times_as_fast(lambda: sum(range(10_000)), lambda: None, 0.001) < 1
