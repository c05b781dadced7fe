"""How OpenAI's models want pictures."""

from __future__ import annotations

from typing import Literal

from clip_assets.core.model.preprocess import Preprocess

# Of CLIP's training images, red, green, blue, in units of the full range (openai/CLIP, clip/clip.py, _transform).
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def transform(resolution: int, method: Literal["fast", "reference"] = "fast") -> Preprocess:
    """``clip``'s own transform for pictures of so many pixels; ``reference`` equals it bit for bit."""
    return Preprocess(resolution, CLIP_MEAN, CLIP_STD, method=method)
