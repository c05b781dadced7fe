"""A checkpoint in OpenAI's layout to a model on its device, read once and in the run's precision."""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING

from clip_assets.core.errors import ModelError
from clip_assets.core.model.clip_model import ClipModel, Precision, torch_dtype
from clip_assets.core.model.file_digests import file_sha256
from clip_assets.core.model.kernels import fastest_kernels, torch_kernels
from clip_assets.core.model.openai.checkpoints import read_state_dict, some, wrong_checkpoint
from clip_assets.core.model.openai.cpu_network import compute_with, typical_layer
from clip_assets.core.model.openai.flops import image_flops
from clip_assets.core.model.openai.network import build_network, tokenize
from clip_assets.core.model.openai.transform import transform
from clip_assets.core.model.score import Score

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from clip.model import CLIP

logger = logging.getLogger(__name__)

# Of OpenAI's tokenizer, whose last token ends every sentence.
_TOKENS = 49408

# Names that every checkpoint of CLIP has and that its sizes are read from, with their number of dimensions.
_COMMON = {
    "logit_scale": 0,
    "ln_final.weight": 1,
    "positional_embedding": 2,
    "text_projection": 2,
    "token_embedding.weight": 2,
}
_VIT = {"visual.conv1.weight": 4, "visual.positional_embedding": 2, "visual.proj": 2}
_RESNET = {"visual.layer1.0.conv1.weight": 4, "visual.attnpool.positional_embedding": 2}


def load(name: str, path: Path, device: str, precision: Precision) -> ClipModel:
    """Load the model of that name from the file with its weights, see `core.model.family.Family.load`."""
    sha256 = file_sha256(path)
    network = _build(path, device, precision)
    if file_sha256(path) != sha256:
        raise ModelError(f"The weights {path} were replaced while they were read. Load the model again.")
    kernels = _choose_kernels(network, device, precision)
    logger.info("Loaded %s (%s) on %s in %s, computed by %s", name, path, device, precision, kernels)
    return ClipModel(
        name=name,
        weights_sha256=sha256,
        device=device,
        precision=precision,
        embed_dim=network.text_projection.shape[1],
        preprocess=transform(network.visual.input_resolution),
        tokenize=partial(tokenize, context_length=network.context_length),
        score=Score(math.exp(network.logit_scale.item())),
        image_flops=image_flops(network),
        typical_layer=typical_layer(network),
        network=network,
    )


def _build(path: Path, device: str, precision: Precision) -> CLIP:
    """The network on its device, its weights read once, straight into the run's precision."""
    import torch

    dtype = torch_dtype(precision)
    state = read_state_dict(path)
    network = build_network(**_sizes(state, path))
    _check_against(network, state, path)
    fp32 = _norm_names(network) | {"logit_scale"}
    # Copies, because the file may be mapped, and a mapped file that someone overwrites ends the process.
    state = {key: value.to(device, torch.float32 if key in fp32 else dtype, copy=True) for key, value in state.items()}
    network.load_state_dict(state, assign=True)
    # No parameter and no buffer, so load_state_dict leaves it as it is.
    mask = network.build_attention_mask().to(device, dtype)
    for block in network.transformer.resblocks:
        block.attn_mask = mask
    if "visual.proj" not in state:  # a ResNet, whose convolutions run faster so
        network.visual.to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)


def _choose_kernels(network: CLIP, device: str, precision: Precision) -> str:
    """Let the network compute by what is fastest on the device; its name."""
    if device != "cpu":
        return "torch"
    kernels = fastest_kernels(image_flops(network), typical_layer(network)) if precision == "fp32" else torch_kernels()
    compute_with(network, kernels)
    return kernels.name


def _sizes(state: Mapping[str, torch.Tensor], path: Path) -> dict[str, object]:
    """The arguments of OpenAI's ``CLIP`` that these parameters were made with (after its ``build_model``)."""
    vit = "visual.proj" in state
    anchors = _COMMON | (_VIT if vit else _RESNET)
    if missing := [key for key, ndim in anchors.items() if key not in state or state[key].ndim != ndim]:
        raise wrong_checkpoint(path, f"a state_dict of {some(state)}, without a usable {some(missing)}")

    def count(prefix: str, depth: int) -> int:
        return len({key.split(".")[depth] for key in state if key.startswith(prefix)})

    if vit:
        width, _, patch_size, _ = state["visual.conv1.weight"].shape
        resolution = patch_size * math.isqrt(len(state["visual.positional_embedding"]) - 1)
        layers: int | tuple[int, ...] = count("visual.transformer.resblocks.", 3)
    else:
        width, patch_size = state["visual.layer1.0.conv1.weight"].shape[0], None
        resolution = 32 * math.isqrt(len(state["visual.attnpool.positional_embedding"]) - 1)
        layers = tuple(count(f"visual.layer{stage}.", 2) for stage in (1, 2, 3, 4))
    text_width, embed_dim = state["text_projection"].shape
    if text_width % 64 or (vit and width % 64):
        raise wrong_checkpoint(
            path, f"transformers {width} and {text_width} wide, where CLIP's are multiples of 64 (one head is 64)"
        )
    vocabulary = len(state["token_embedding.weight"])
    if vocabulary < _TOKENS:
        raise wrong_checkpoint(path, f"a vocabulary of {vocabulary} tokens, where CLIP's tokenizer has {_TOKENS}")
    return {
        "embed_dim": embed_dim,
        "image_resolution": resolution,
        "vision_layers": layers,
        "vision_width": width,
        "vision_patch_size": patch_size,
        "context_length": len(state["positional_embedding"]),
        "vocab_size": vocabulary,
        "transformer_width": text_width,
        "transformer_heads": text_width // 64,
        "transformer_layers": count("transformer.resblocks.", 2),
    }


def _check_against(network: CLIP, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Raise ModelError unless names and shapes are those of the network; BatchNorm's counters may be missing."""
    expected = {key: value.shape for key, value in network.state_dict().items()}
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    misshapen = [
        f"{key} {tuple(value.shape)} instead of {tuple(expected[key])}"
        for key, value in state.items()
        if key in expected and value.shape != expected[key]
    ]
    problems = {"missing": missing, "not part of CLIP": unexpected, "of wrong shape": misshapen}
    if found := "; ".join(f"{what}: {some(keys)}" for what, keys in problems.items() if keys):
        raise wrong_checkpoint(path, f"a state_dict that resembles CLIP's, but {found}")


def _norm_names(network: CLIP) -> set[str]:
    """Parameters and buffers of normalisation layers, which OpenAI's code computes in fp32 whatever the rest is in."""
    from torch.nn import BatchNorm2d, LayerNorm

    norms = {name: module for name, module in network.named_modules() if isinstance(module, (BatchNorm2d, LayerNorm))}
    return {f"{name}.{key}" for name, module in norms.items() for key in module.state_dict()}
