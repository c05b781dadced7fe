"""Draws coloured shapes: what a frame of the demo's clips, of its training data and of the tests is."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]

COLOUR_RGB: dict[str, RGB] = {
    "red": (220, 30, 30),
    "green": (30, 170, 50),
    "blue": (40, 80, 220),
    "yellow": (240, 215, 30),
    "purple": (150, 40, 190),
    "white": (248, 248, 248),
    "black": (12, 12, 12),
}

_SUPERSAMPLING = 4
_STAR_INNER_RADIUS = 0.42
_CROSS_ARM = 0.32


@dataclass(frozen=True)
class Shape:
    """One coloured shape on a frame.

    Attributes:
        colour: A key of `COLOUR_RGB`.
        kind: One of circle, square, triangle, star, cross.
        x: Centre, as a fraction of the frame's width.
        y: Centre, as a fraction of the frame's height.
        size: Diameter of the circle around the shape, as a fraction of the frame's short side.
        tilt_degrees: Turn about the centre, clockwise; at 0 the shape stands upright.
        rgb: The shade to draw; None draws the colour's own.
    """

    colour: str
    kind: str
    x: float = 0.5
    y: float = 0.5
    size: float = 0.6
    tilt_degrees: float = 0.0
    rgb: RGB | None = None

    @property
    def shade(self) -> RGB:
        """The RGB value that is drawn."""
        return self.rgb or COLOUR_RGB[self.colour]


def plain(width: int, height: int, rgb: RGB = (128, 128, 128)) -> np.ndarray:
    """Give a frame of one colour, uint8 (height, width, 3)."""
    return np.full((height, width, 3), rgb, dtype=np.uint8)


def draw(shape: Shape, background: np.ndarray) -> np.ndarray:
    """Draw a shape with smooth edges upon a background.

    Args:
        shape: What to draw; what lies outside the frame is cut off.
        background: uint8 (H, W, 3), left as it is.

    Returns:
        A new frame, uint8 (H, W, 3).
    """
    height, width = background.shape[:2]
    frame = Image.fromarray(background)
    frame.paste(shape.shade, (0, 0), _mask(shape, width, height))
    return np.array(frame)


def _mask(shape: Shape, width: int, height: int) -> Image.Image:
    """Give the shape's coverage of each pixel, 0 to 255, by drawing it larger and averaging."""
    mask = Image.new("L", (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
    centre_x, centre_y = shape.x * mask.width, shape.y * mask.height
    radius = shape.size * min(mask.size) / 2
    pen = ImageDraw.Draw(mask)
    if shape.kind == "circle":
        pen.ellipse((centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius), fill=255)
    else:
        tilt = math.radians(shape.tilt_degrees)
        cos, sin = radius * math.cos(tilt), radius * math.sin(tilt)
        pen.polygon(
            [(centre_x + cos * x - sin * y, centre_y + sin * x + cos * y) for x, y in _OUTLINES[shape.kind]],
            fill=255,
        )
    return mask.reduce(_SUPERSAMPLING)


def _regular(corners: int, first_degrees: float, radii: tuple[float, ...] = (1.0,)) -> list[tuple[float, float]]:
    """Give points around the unit circle, evenly spaced, at radii that take turns; y points down."""
    angles = [math.radians(first_degrees + 360 * k / corners) for k in range(corners)]
    return [
        (radii[k % len(radii)] * math.cos(angle), radii[k % len(radii)] * math.sin(angle))
        for k, angle in enumerate(angles)
    ]


def _plus(arm: float) -> list[tuple[float, float]]:
    """Give a plus sign whose outermost corners lie on the unit circle; `arm` is half an arm's width."""
    end = math.sqrt(1 - arm**2)
    quarter = [(arm, -end), (arm, -arm), (end, -arm)]
    turns = [(1, 0), (0, 1), (-1, 0), (0, -1)]
    return [(cos * x - sin * y, sin * x + cos * y) for cos, sin in turns for x, y in quarter]


_OUTLINES = {
    "square": _regular(4, 45),
    "triangle": _regular(3, -90),
    "star": _regular(10, -90, (1.0, _STAR_INNER_RADIUS)),
    "cross": _plus(_CROSS_ARM),
}
