"""Tiny CLIP checkpoints with random weights, in OpenAI's layout: real architecture, made in well under a second."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import clip
import torch


def random_vit(path: Path, seed: int = 0) -> Path:
    """Write a ViT's state_dict to ``path``: pictures of 64 pixels in patches of 16, features 48 wide."""
    return _save(path, seed, image_resolution=64, vision_layers=2, vision_width=128, vision_patch_size=16)


def random_resnet(path: Path, seed: int = 0) -> Path:
    """Write a ResNet's state_dict to ``path``: pictures of 64 pixels, features 48 wide."""
    return _save(path, seed, image_resolution=64, vision_layers=(1, 1, 2, 1), vision_width=8, vision_patch_size=None)


def random_network(seed: int, **vision: object) -> torch.nn.Module:
    """OpenAI's own module, with weights that fp16 holds exactly, in fp32.

    Every parameter and buffer is random, normalisation layers' too: a constant would hide one that was not loaded.
    Those layers' running averages are measured, so that a ResNet's features depend on the picture.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = clip.model.CLIP(
            embed_dim=48,
            context_length=77,
            vocab_size=49408,
            transformer_width=64,
            transformer_heads=1,
            transformer_layers=2,
            **vision,
        )
        for name, parameter in network.named_parameters():
            if name.endswith("bn3.weight"):
                parameter.fill_(1)
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the average over all batches seen, of which there is one
        resolution = network.visual.input_resolution
        pictures = torch.nn.functional.interpolate(torch.randn(8, 3, 5, 5), size=resolution, mode="bicubic")
        network.train().encode_image(pictures)
        for tensor in network.state_dict().values():
            tensor.copy_(tensor.half())
    return network.eval()


def _save(path: Path, seed: int, **vision: object) -> Path:
    path.write_bytes(_file(seed, **vision))
    return path


@cache
def _file(seed: int, **vision: object) -> bytes:
    """Made once in a process."""
    file = io.BytesIO()
    torch.save(random_network(seed, **vision).state_dict(), file)
    return file.getvalue()
