"""Folders with open_clip models, cut in width and depth, with random weights: real architectures, made in a second."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
SIGLIP_TEXT = {
    **{"context_length": 16, "vocab_size": 100, "width": 64, "heads": 2, "layers": 2, "no_causal_mask": True},
    **{"proj_bias": True, "pool_type": "last", "hf_tokenizer_name": "some/tokenizer"},
    "tokenizer_kwargs": {"clean": "canonicalize"},
}
VIT = {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16}

ARCHITECTURES: Mapping[str, dict[str, Any]] = {
    "resnet": {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 2, 1], "width": 8, "patch_size": None},
        "text_cfg": TEXT,
    },
    "vit_quickgelu": {"embed_dim": 48, "quick_gelu": True, "vision_cfg": VIT, "text_cfg": TEXT},
    "vit_gelu": {"embed_dim": 48, "vision_cfg": VIT, "text_cfg": TEXT},
    "siglip": {
        "embed_dim": 64,  # timm's network for tests, with SigLIP's pooling
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none"},
        "text_cfg": SIGLIP_TEXT,
    },
    "convnext": {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 160, "timm_model_name": "test_convnext", "timm_pool": "", "timm_proj": "linear"},
        "text_cfg": TEXT,
    },
}

CLIP_PICTURES = {
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
SIGLIP_PICTURES = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}


def preprocessing_of(architecture: str) -> dict[str, Any]:
    """What its models want of pictures."""
    return SIGLIP_PICTURES if architecture == "siglip" else CLIP_PICTURES


def write_model(
    folder: Path, config: Mapping[str, Any], preprocessing: Mapping[str, Any] = CLIP_PICTURES, seed: int = 0
) -> Path:
    """A folder as open_clip's ``local-dir:`` takes it, with random weights; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {"model_cfg": config, "preprocess_cfg": preprocessing}
    (folder / "open_clip_config.json").write_text(json.dumps(written), encoding="utf-8")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, weights_of(folder))
    if config["text_cfg"].get("hf_tokenizer_name"):
        write_tokenizer(folder)
    return folder


def weights_of(folder: Path) -> Path:
    """The weights' file in a model's folder."""
    return folder / "open_clip_model.safetensors"


def write_tokenizer(folder: Path) -> None:
    """A tokenizer of a few words."""
    words = ["[PAD]", "[UNK]", "a", "photo", "of", "red", "blue", "circle", "square"]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
