"""Pictures like photographs, for tests of what is done to pictures."""

from __future__ import annotations

import numpy as np
from PIL import Image


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Soft large shapes, a hard edge, a little noise: uint8 (height, width, 3)."""
    rng = np.random.default_rng((height, width, seed))
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = (250, 20, 20)
    return np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
