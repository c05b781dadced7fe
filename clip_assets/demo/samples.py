"""Random frames of coloured shapes, drawn from a seed: the demo model's training and evaluation data."""

import colorsys
import io

import numpy as np
from PIL import Image

from clip_assets.demo import demo_classes
from clip_assets.demo.shapes import RGB, Shape, draw, plain

# Hue in degrees, saturation and value in 0..1: (lowest, highest) of each.
_SHADES = {
    "red": ((-8, 8), (0.75, 1), (0.65, 1)),
    "green": ((105, 145), (0.65, 1), (0.5, 0.95)),
    "blue": ((210, 240), (0.65, 1), (0.6, 1)),
    "yellow": ((49, 60), (0.7, 1), (0.85, 1)),
    "purple": ((275, 300), (0.6, 1), (0.55, 0.95)),
    "white": ((0, 360), (0, 0.05), (0.92, 1)),
    "black": ((0, 360), (0, 1), (0, 0.1)),
}
_MAX_TILT_DEGREES = 20
_MIN_CONTRAST = 110.0
EMPTY = -1
"""The label of a frame that shows no shape."""


def random_frame(seed: int, index: int, empty_share: float = 0.0) -> tuple[np.ndarray, int]:
    """Draw frame number `index` of an endless sequence; it depends on the two numbers alone.

    The shape lies within the frame's central square, where CLIP's centre crop keeps it.

    Returns:
        The frame, uint8 (H, W, 3) with sides of 64 to 320, and its class, an index into `demo_classes()` or `EMPTY`.
    """
    rng = np.random.default_rng((seed, index))
    width, height = _frame_size(rng)
    label = int(rng.integers(len(demo_classes())))
    shape = _random_shape(rng, label, width, height)
    frame = _random_background(rng, width, height, shape.shade)
    if rng.random() < empty_share:
        label = EMPTY
    else:
        frame = draw(shape, frame)
    return _degrade(rng, frame), label


def _frame_size(rng: np.random.Generator) -> tuple[int, int]:
    short = int(rng.integers(64, 181))
    long = int(short * rng.uniform(1, 16 / 9))
    return (long, short) if rng.random() < 0.6 else (short, long)


def _random_shape(rng: np.random.Generator, label: int, width: int, height: int) -> Shape:
    colour, kind = demo_classes()[label]
    size = rng.uniform(0.3, 0.9)
    reach = (1 - size) / 2 * min(width, height)
    (hues, saturations, values) = _SHADES[colour]
    red, green, blue = colorsys.hsv_to_rgb(
        rng.uniform(*hues) / 360 % 1, rng.uniform(*saturations), rng.uniform(*values)
    )
    return Shape(
        colour,
        kind,
        x=0.5 + rng.uniform(-reach, reach) / width,
        y=0.5 + rng.uniform(-reach, reach) / height,
        size=size,
        tilt_degrees=rng.uniform(-_MAX_TILT_DEGREES, _MAX_TILT_DEGREES),
        rgb=(round(255 * red), round(255 * green), round(255 * blue)),
    )


def _random_background(rng: np.random.Generator, width: int, height: int, shade: RGB) -> np.ndarray:
    """Give a plain, a graded or a blotchy background that stands out from a shape's shade, uint8 (H, W, 3)."""
    first, second = _contrasting_pair(rng, np.array(shade))
    style = rng.integers(3)
    if style == 0:
        return plain(width, height, tuple(first.astype(int).tolist()))
    if style == 1:
        angle = rng.uniform(0, 2 * np.pi)
        across = np.linspace(-0.5, 0.5, width) * np.cos(angle)
        down = np.linspace(-0.5, 0.5, height) * np.sin(angle)
        blend = np.clip(down[:, None] + across[None, :] + 0.5, 0, 1).astype(np.float32)
    else:
        cells = rng.random((rng.integers(2, 12), rng.integers(2, 12)), dtype=np.float32)
        blend = np.array(Image.fromarray(cells).resize((width, height), Image.Resampling.BILINEAR))
    return (first + blend[..., None] * (second - first)).astype(np.uint8)


def _contrasting_pair(rng: np.random.Generator, shade: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give two colours, float32 (3,), that stay `_MIN_CONTRAST` away from a shade, as all between them do."""
    steps = np.linspace(0, 1, 5)[:, None]
    while True:
        first = rng.uniform(0, 255, 3)
        second = np.clip(first + rng.uniform(-90, 90, 3), 0, 255)
        between = first + steps * (second - first)
        if np.linalg.norm(between - shade, axis=1).min() >= _MIN_CONTRAST:
            return first.astype(np.float32), second.astype(np.float32)


def _degrade(rng: np.random.Generator, frame: np.ndarray) -> np.ndarray:
    """Add a camera's noise and a codec's blocks."""
    strength = int(rng.integers(1, 20))
    noise = rng.integers(-strength, strength + 1, frame.shape, dtype=np.int16)
    noisy = np.clip(frame + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=int(rng.integers(30, 96)))
    return np.array(Image.open(buffer))
