"""Tiny CLIP checkpoints with random weights, in OpenAI's layout: real architecture, made in well under a second."""

from __future__ import annotations

from pathlib import Path

import torch

from clip_assets.core.model import import_clip


def random_vit(path: Path, seed: int = 0) -> Path:
    """Write a ViT's state_dict to ``path``: pictures of 64 pixels in patches of 16, features 48 wide."""
    return _save(path, seed, image_resolution=64, vision_layers=2, vision_width=128, vision_patch_size=16)


def random_resnet(path: Path, seed: int = 0) -> Path:
    """Write a ResNet's state_dict to ``path``: pictures of 64 pixels, features 48 wide."""
    return _save(path, seed, image_resolution=64, vision_layers=(1, 1, 2, 1), vision_width=16, vision_patch_size=None)


def random_network(seed: int, **vision: object) -> torch.nn.Module:
    """OpenAI's own module with weights that fp16 holds exactly, in fp32 and in training mode, as it is constructed.

    Every parameter and buffer is random, normalisation layers' too: a constant would hide one that was not loaded.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = import_clip().model.CLIP(
            embed_dim=48,
            context_length=77,
            vocab_size=49408,
            transformer_width=64,
            transformer_heads=1,
            transformer_layers=2,
            **vision,
        )
        for name, tensor in network.state_dict().items():
            if "running_" in name or name.endswith("bn3.weight"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(0.1 * torch.randn_like(tensor))
            if tensor.is_floating_point():
                tensor.copy_(tensor.half())
    return network


def _save(path: Path, seed: int, **vision: object) -> Path:
    torch.save(random_network(seed, **vision).state_dict(), path)
    return path
