"""CLIP, loaded once in the run's precision: images and sentences to features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from clip_assets.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from clip_assets.core.model.kernels import TypicalLayer
    from clip_assets.core.model.preprocess import Preprocess
    from clip_assets.core.model.score import Score

Precision = Literal["fp32", "fp16", "bf16"]

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}

_TEXTS_PER_BATCH = 64


class Network(Protocol):
    """What CLIPs have in common: two encoders into one space."""

    def encode_image(self, pictures: torch.Tensor, /) -> torch.Tensor:
        """Features (B, D), of any length, of model input (B, 3, R, R)."""

    def encode_text(self, tokens: torch.Tensor, /) -> torch.Tensor:
        """Features (B, D), of any length, of tokens (B, at most the context length)."""


@dataclass(frozen=True, eq=False)
class ClipModel:
    """A CLIP model on its device, ready to encode; its family (`core.model.family`) loaded it.

    Attributes:
        name: As asked for, such as ``ViT-B/32``.
        weights_sha256: The model's identity, 64 hexadecimal digits, see `Family.sha256`.
        device: Where it computes, as torch names it (``cpu``, ``cuda:0``).
        precision: Of weights and arithmetic; normalisation layers are always fp32, as in OpenAI's code.
        embed_dim: Width of a feature, D.
        preprocess: What makes pictures the model's input, of the side R.
        tokenize: Sentences to tokens, int64 (N, L). Raises TextError for one that is too long.
        score: What makes probabilities of cosines.
        image_flops: Floating-point operations that encoding a picture takes, a multiplication and an addition being 2.
        typical_layer: A layer to measure the processor by.
        network: The family's own module.
    """

    name: str
    weights_sha256: str
    device: str
    precision: Precision
    embed_dim: int
    preprocess: Preprocess
    tokenize: Callable[[Sequence[str]], torch.Tensor]
    score: Score
    image_flops: int
    typical_layer: TypicalLayer
    network: Network

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Features of a batch: float32 (B, D), on the model's device, not normalised.

        Args:
            batch: (B, 3, R, R), preprocessed, of any float dtype and on any device.
        """
        import torch

        with torch.inference_mode():
            batch = batch.to(self.device, torch_dtype(self.precision), non_blocking=True)
            return self.network.encode_image(batch).float()

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Features of sentences: float32 (N, D), not normalised.

        Raises:
            TextError: A sentence has more tokens than the model takes; the message names it.
        """
        import torch

        tokens = self.tokenize(texts)
        features = np.empty((len(texts), self.embed_dim), dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(texts), _TEXTS_PER_BATCH):
                batch = tokens[start : start + _TEXTS_PER_BATCH].to(self.device)
                encoded = self.network.encode_text(batch)
                features[start : start + len(batch)] = encoded.float().cpu().numpy()
        return features


def torch_dtype(precision: Precision) -> torch.dtype:
    """The number format, as torch has it.

    Raises:
        ModelError: It is none of those there are.
    """
    import torch

    if precision not in _DTYPES:
        raise ModelError(f"Precision {precision!r} is not one of {', '.join(_DTYPES)}.")
    dtype: torch.dtype = getattr(torch, _DTYPES[precision])
    return dtype
