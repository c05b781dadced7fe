"""CLIP, loaded once in the run's precision: images and sentences to features."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from clip_assets.core.errors import ModelError
from clip_assets.core.model.kernels import fastest_kernels, torch_kernels
from clip_assets.core.model.openai.checkpoints import read_state_dict, some, wrong_checkpoint
from clip_assets.core.model.openai.cpu_network import compute_with
from clip_assets.core.model.openai.flops import image_flops
from clip_assets.core.model.openai.network import build_network, tokenize
from clip_assets.core.model.openai.weights import find_weights, weights_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from clip.model import CLIP
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

Precision = Literal["fp32", "fp16", "bf16"]

_TEXTS_PER_BATCH = 64

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


@dataclass(frozen=True, eq=False)
class ClipModel:
    """A CLIP model on its device, ready to encode.

    Attributes:
        name: As asked for, such as ``ViT-B/32``.
        weights_sha256: SHA-256 of the weights' file, 64 hexadecimal digits: the model's identity.
        device: Where it computes, as torch names it (``cpu``, ``cuda:0``).
        precision: Of weights and arithmetic; normalisation layers are always fp32, as in OpenAI's code.
        embed_dim: Width of a feature, D.
        input_resolution: Pixels, R: side of the square pictures it takes.
        logit_scale: What cosines are multiplied by before the softmax: the checkpoint's, after ``exp``.
        image_flops: Floating-point operations that encoding a picture takes, a multiplication and an addition being 2.
        network: OpenAI's own module.
    """

    name: str
    weights_sha256: str
    device: str
    precision: Precision
    embed_dim: int
    input_resolution: int
    logit_scale: float
    image_flops: int
    network: CLIP

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Features of a batch: float32 (B, D), on the model's device, not normalised.

        Args:
            batch: (B, 3, R, R), preprocessed, of any float dtype and on any device.
        """
        import torch

        with torch.inference_mode():
            batch = batch.to(self.device, self.network.dtype, non_blocking=True)
            return self.network.encode_image(batch).float()

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features of sentences: float32 (N, D), not normalised.

        Raises:
            TextError: A sentence has more tokens than the model takes (77); the message names it.
        """
        import torch

        tokens = tokenize(texts, self.network.context_length)
        features = np.empty((len(texts), self.embed_dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS_PER_BATCH):
                batch = tokens[start : start + _TEXTS_PER_BATCH].to(self.device)
                encoded = self.network.encode_text(batch)
                features[start : start + len(batch)] = encoded.float().cpu().numpy()
        return features


def load_model(
    name: str,
    *,
    checkpoint: Path | None = None,
    weights_folder: Path,
    device: str = "cpu",
    precision: Precision = "fp32",
) -> ClipModel:
    """Load CLIP by name.

    Args:
        name: One of OpenAI's nine names, "demo", or "custom".
        checkpoint: The file of model "custom" (default: ``weights.DEFAULT_CHECKPOINT``); no other model takes one.
        weights_folder: Where OpenAI's weights are, or are downloaded to.
        device: Where to compute, as torch names it.
        precision: Of weights and arithmetic. Weights of other precision are converted, fp32 ones are kept otherwise.

    Raises:
        ModelError: Unknown name or precision, weights that can't be had, or a file that isn't a CLIP checkpoint.
    """
    path = find_weights(name, checkpoint=checkpoint, folder=weights_folder)
    sha256 = weights_sha256(path)
    network = _build(path, device, precision)
    if weights_sha256(path) != sha256:
        raise ModelError(f"The weights {path} were replaced while they were read. Load the model again.")
    kernels = _choose_kernels(network, device, precision)
    logger.info("Loaded %s (%s) on %s in %s, computed by %s", name, path, device, precision, kernels)
    return ClipModel(
        name=name,
        weights_sha256=sha256,
        device=device,
        precision=precision,
        embed_dim=network.text_projection.shape[1],
        input_resolution=network.visual.input_resolution,
        logit_scale=math.exp(network.logit_scale.item()),
        image_flops=image_flops(network),
        network=network,
    )


def _build(path: Path, device: str, precision: Precision) -> CLIP:
    """The network on its device, its weights read once, straight into the run's precision."""
    import torch

    dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    if precision not in dtypes:
        raise ModelError(f"Precision {precision!r} is not one of {', '.join(dtypes)}.")
    state = read_state_dict(path)
    network = build_network(**_sizes(state, path))
    _check_against(network, state, path)
    fp32 = _norm_names(network) | {"logit_scale"}
    # Copies, because the file may be mapped, and a mapped file that someone overwrites ends the process.
    state = {
        key: value.to(device, torch.float32 if key in fp32 else dtypes[precision], copy=True)
        for key, value in state.items()
    }
    network.load_state_dict(state, assign=True)
    # No parameter and no buffer, so load_state_dict leaves it as it is.
    mask = network.build_attention_mask().to(device, dtypes[precision])
    for block in network.transformer.resblocks:
        block.attn_mask = mask
    if "visual.proj" not in state:  # a ResNet, whose convolutions run faster so
        network.visual.to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)


def _choose_kernels(network: CLIP, device: str, precision: Precision) -> str:
    """Let the network compute by what is fastest on the device; its name."""
    if device != "cpu":
        return "torch"
    kernels = fastest_kernels(network) if precision == "fp32" else torch_kernels()
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
