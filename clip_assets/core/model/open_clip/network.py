"""open_clip's network with its weights, in the run's precision."""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ModelError
from clip_assets.core.model.clip_model import Precision, torch_dtype

if TYPE_CHECKING:
    from open_clip import CLIP

    from clip_assets.core.model.open_clip.files import ModelFiles


def build_network(files: ModelFiles, device: str, precision: Precision) -> CLIP:
    """One of open_clip's models on its device, as ``open_clip.create_model`` makes it of the same files.

    Raises:
        ModelError: open_clip can't make a network of the configuration, the weights aren't its, or a weight is beyond
            the range of the precision.
    """
    import open_clip
    from open_clip.model import get_cast_dtype

    config = _config_of(files)
    custom = config.pop("custom_text", False) or bool(config["text_cfg"].get("hf_model_name"))
    of = open_clip.CoCa if "multimodal_cfg" in config else open_clip.CustomTextCLIP if custom else open_clip.CLIP
    torch_dtype(precision)  # raises for one that there isn't
    try:
        network: CLIP = of(**config, cast_dtype=get_cast_dtype(precision))
    except (AssertionError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"open_clip makes no model of the configuration beside {files.weights}: {error}") from error
    _load_weights(network, files)
    if precision != "fp32":
        _convert(network, files, precision)
    return network.to(device).eval().requires_grad_(False)


def _config_of(files: ModelFiles) -> dict[str, Any]:
    """The configuration, so that open_clip downloads nothing."""
    config = deepcopy(dict(files.config))
    if "timm_model_name" in config["vision_cfg"]:
        config["vision_cfg"]["timm_model_pretrained"] = False
    if files.tower:
        config["text_cfg"] |= {"hf_model_name": str(files.tower.parent), "hf_model_pretrained": False}
    return config


def _load_weights(network: CLIP, files: ModelFiles) -> None:
    import open_clip
    import torch
    from safetensors import SafetensorError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            open_clip.load_checkpoint(network, str(files.weights))
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        told = " ".join(str(error).split())[:400]
        raise ModelError(f"{files.weights} doesn't hold the weights of its model's configuration: {told}") from error
    bias = network.logit_bias
    if bias is not None and not torch.count_nonzero(bias):  # which open_clip puts where none is
        raise ModelError(
            f"{files.weights} has no logit_bias, and its model's configuration wants one (init_logit_bias)."
        )


def _convert(network: CLIP, files: ModelFiles, precision: Precision) -> None:
    """As ``open_clip.create_model`` does: normalisation in fp32, and what timm made whole. transformers' stays fp32."""
    import torch
    from open_clip.model import convert_weights_to_lp
    from open_clip.transformer import LayerNormFp32

    dtype = torch_dtype(precision)
    if "timm_model_name" in files.config["vision_cfg"]:
        network.to(dtype)
        for module in network.modules():
            if isinstance(module, LayerNormFp32):
                module.float()
    else:
        convert_weights_to_lp(network, dtype)
    if files.tower:
        network.text.float()
    network.logit_scale.data = network.logit_scale.data.float()
    for name, weight in network.named_parameters():
        if not torch.isfinite(weight).all():
            raise ModelError(f"The weight {name} of {files.weights} is beyond the range of {precision}.")
