"""What a moment is: the rule that makes stretches of shots, and then of rows, from their scores. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROWTH = 0.7
"""How far above the base, as a part of the best one's height, a neighbour must be to belong to a moment."""

SAME_SCORE = 1e-6
"""Scores that differ by no more are the same, as those of a still picture's frames."""


def shot_value(scores: NDArray[np.floating]) -> float:
    """The mean of the ceil(n / 2) highest of a shot's scores."""
    half = (len(scores) + 1) // 2
    return float(np.sort(scores)[-half:].mean(dtype=np.float64))


def grow(
    value: Callable[[int], float], is_free: Callable[[int], bool], seed: int, count: int, base: float
) -> tuple[int, int]:
    """First and last shot of the moment around a seed.

    Free neighbours join while their value is at least ``base + GROWTH * (seed's - base)``, or the seed's own. A seed at
    or below the base has only its equals join.

    Args:
        value: Of a shot.
        is_free: Whether a shot belongs to no moment yet.
        seed: The video's highest free shot.
        count: Number of the video's shots.
        base: What a shot scores that has nothing to do with the query.
    """
    peak = value(seed)
    least = base + GROWTH * (peak - base) if peak > base else np.inf

    def joins(shot: int) -> bool:
        return is_free(shot) and (value(shot) >= least or abs(value(shot) - peak) <= SAME_SCORE)

    first = last = seed
    while first > 0 and joins(first - 1):
        first -= 1
    while last + 1 < count and joins(last + 1):
        last += 1
    return first, last


def trim(scores: NDArray[np.floating], base: float) -> tuple[int, int, int]:
    """First, last and best row of a moment: its ends are cut down to rows near enough to its best.

    Args:
        scores: (T,), of the rows of its shots, T >= 1.
        base: As of `grow`. Where no row is above it, nothing is cut.
    """
    best = int(scores.argmax())
    kept = np.flatnonzero(scores >= base + GROWTH * (float(scores[best]) - base) - SAME_SCORE)
    if len(kept) == 0 or scores[best] <= base:
        return 0, len(scores) - 1, best
    return int(kept[0]), int(kept[-1]), best
