"""The drawing puts the right shape, in the right colour, at the right place."""

import numpy as np
import pytest

from clip_assets.demo import COLOURS, SHAPES
from clip_assets.demo.shapes import COLOUR_RGB, Shape, draw, plain

GREY = (128, 128, 128)
# Share of the circumscribed circle's square box, side 2: area of the shape in the unit circle / 4.
AREAS = {
    "circle": np.pi / 4,
    "square": 2 / 4,
    "triangle": 3 * np.sqrt(3) / 4 / 4,
    "star": 10 * np.sin(np.radians(36)) * 0.42 / 2 / 4,
    "cross": (2 * 0.64 * 2 * np.sqrt(1 - 0.32**2) - 0.64**2) / 4,
}


def covered(frame: np.ndarray, background: np.ndarray) -> np.ndarray:
    return (frame != background).any(axis=-1)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("tilt_degrees", [0.0, 20.0, -20.0])
def test_a_shape_covers_its_area_around_its_centre(kind: str, tilt_degrees: float) -> None:
    background = plain(200, 100, (0, 0, 0))
    shape = Shape("white", kind, x=0.25, y=0.5, size=0.8, tilt_degrees=tilt_degrees, rgb=(255, 255, 255))
    frame = draw(shape, background)
    coverage = frame[..., 0] / 255
    rows, columns = np.indices(coverage.shape)
    assert coverage.sum() == pytest.approx(AREAS[kind] * 80**2, rel=0.02)
    assert np.average(columns + 0.5, weights=coverage) == pytest.approx(50, abs=0.5)
    assert np.average(rows + 0.5, weights=coverage) == pytest.approx(50, abs=0.5)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_shape_has_its_colour_and_leaves_the_background(colour: str) -> None:
    background = plain(64, 48, GREY)
    frame = draw(Shape(colour, "square"), background)
    assert frame.dtype == np.uint8
    assert frame.shape == (48, 64, 3)
    assert tuple(frame[24, 32]) == COLOUR_RGB[colour]
    assert tuple(frame[0, 0]) == GREY
    assert (background == GREY).all()


def test_a_triangle_points_up_and_tilts_clockwise() -> None:
    background = plain(100, 100, GREY)
    upright = covered(draw(Shape("red", "triangle", size=0.8), background), background)
    tilted = covered(draw(Shape("red", "triangle", size=0.8, tilt_degrees=20), background), background)
    assert upright[:50].sum() < upright[50:].sum()
    assert np.flatnonzero(upright.any(axis=1))[0] == pytest.approx(10, abs=1)
    top_row = np.flatnonzero(tilted.any(axis=1))[0]
    assert np.flatnonzero(tilted[top_row]).mean() > 60


def test_another_shade_replaces_the_colours_own() -> None:
    frame = draw(Shape("red", "circle", rgb=(200, 10, 40)), plain(32, 32))
    assert tuple(frame[16, 16]) == (200, 10, 40)
