"""A model's files to a model on its device, read once and in the run's precision."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from clip_assets.core.errors import ModelError
from clip_assets.core.model.clip_model import ClipModel, Precision, torch_dtype
from clip_assets.core.model.kernels import fastest_kernels, torch_kernels
from clip_assets.core.model.open_clip.catalogue import check_installed
from clip_assets.core.model.open_clip.network import build_network
from clip_assets.core.model.open_clip.tokenizer import make_tokenizer
from clip_assets.core.model.open_clip.transform import transform
from clip_assets.core.model.open_clip.work import compute_with, measured
from clip_assets.core.model.score import Score

if TYPE_CHECKING:
    from open_clip import CLIP

    from clip_assets.core.model.open_clip.files import ModelFiles

logger = logging.getLogger(__name__)


def load(name: str, find: Callable[[], ModelFiles], device: str, precision: Precision) -> ClipModel:
    """Load the model of these files, see `core.model.family.Family.load`."""
    import torch

    check_installed()
    files = find()
    sha256 = files.sha256()
    network = build_network(files, device, precision)
    tokenize = make_tokenizer(files)
    if find().sha256() != sha256:
        raise ModelError(f"The files of {name} were replaced while they were read. Load the model again.")
    preprocess = transform(files.preprocessing, network.visual.image_size)
    side = preprocess.resolution
    flops, layer = measured(network, torch.zeros(1, 3, side, side, device=device, dtype=torch_dtype(precision)))
    kernels = fastest_kernels(flops, layer) if device == "cpu" and precision == "fp32" else torch_kernels()
    compute_with(network, kernels)
    logger.info("Loaded %s (%s) on %s in %s, computed by %s", name, files.weights, device, precision, kernels.name)
    return ClipModel(
        name=name,
        weights_sha256=sha256,
        device=device,
        precision=precision,
        embed_dim=int(files.config["embed_dim"]),
        preprocess=preprocess,
        tokenize=tokenize,
        score=_score(network),
        image_flops=flops,
        typical_layer=layer,
        network=network,
    )


def _score(network: CLIP) -> Score:
    """A softmax, or where there is a bias, which only training with it needs, a sigmoid (Zhai et al. 2023)."""
    scale = math.exp(network.logit_scale.item())
    if network.logit_bias is None:
        return Score(scale)
    return Score(scale, network.logit_bias.item(), "sigmoid")
