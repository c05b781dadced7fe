"""Features to shots: stretches of rows that look alike, each with its mean; the one definition of a cut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.model.family import SAME_SHOT_COSINE
from clip_assets.core.records import ClipFeatures, Shots

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MAX_SHOT_ROWS = 16
"""So many rows are a full shot, and the next row opens another: a mean of more would stand for too much."""

SHOTS_VERSION = 1
"""Of the rule that divides rows into shots. Raise it with every change that gives other shots."""


def shot_parameters(features: Mapping[str, Any], same_shot_cosine: float = SAME_SHOT_COSINE) -> dict[str, Any]:
    """What shots depend on, as plain JSON values: all that the features do, and the rule.

    Args:
        features: What the features were made from.
        same_shot_cosine: Of their model.
    """
    rule = {"same_shot_cosine": same_shot_cosine, "max_shot_rows": MAX_SHOT_ROWS}
    return {**features, "shots_version": SHOTS_VERSION, **rule}


def find_shots(features: ClipFeatures, duration_ms: float, same_shot_cosine: float = SAME_SHOT_COSINE) -> Shots:
    """Divide a video's rows into shots.

    Args:
        features: Rows without a direction (zero or not finite) count as zero.
        duration_ms: Where the video ends, in ms.
        same_shot_cosine: Of their model.
    """
    unit = unit_rows(features.clip)
    first = _openings(unit, same_shot_cosine)[0]
    last = np.append(first[1:], len(unit))[: len(first)] - 1
    means = unit_rows(np.add.reduceat(unit, first, axis=0)) if len(unit) else unit
    likeness = np.einsum("td,td->t", unit, np.repeat(means, last - first + 1, axis=0))
    typical = [a + int(likeness[a : b + 1].argmax()) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    edges = row_edges(features.timestamps_ms, duration_ms)
    return Shots(
        means=means.astype(np.float16),
        first_rows=first,
        last_rows=last,
        from_ms=edges[first],
        to_ms=edges[last + 1],
        typical_rows=np.array(typical, dtype=np.int64),
        video=unit_rows(unit.sum(axis=0, keepdims=True))[0].astype(np.float16),
    )


def cuts(clip: ArrayLike, limit: int, same_shot_cosine: float = SAME_SHOT_COSINE) -> NDArray[np.int64]:
    """The rows at which a cut opens a new shot: int64, ascending, at most the ``limit`` least like the shot before.

    Args:
        clip: float (T, D), features.
        limit: The most cuts.
        same_shot_cosine: Of the features' model.
    """
    first, cosines = _openings(unit_rows(clip), same_shot_cosine)
    found = np.flatnonzero(cosines < same_shot_cosine)
    return np.sort(first[found[np.argsort(cosines[found], kind="stable")[:limit]]])


def row_edges(timestamps_ms: NDArray[np.float64], duration_ms: float) -> NDArray[np.float64]:
    """Where each row's time begins, and at last where the last one's ends: float64 (T + 1,), in ms.

    Midway between neighbouring samples; 0 and the duration (or the last sample, if that is later) at the ends.
    """
    if len(timestamps_ms) == 0:
        return np.zeros(1)
    midway = (timestamps_ms[1:] + timestamps_ms[:-1]) / 2
    return np.concatenate([[0.0], midway, [max(duration_ms, float(timestamps_ms[-1]))]])


def unit_rows(vectors: ArrayLike) -> NDArray[np.float64]:
    """Each row divided by its L2 norm, float64; zero where it has no direction."""
    rows = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    usable = np.isfinite(norms) & (norms > 0)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=usable)


def _openings(unit: NDArray[np.float64], same_shot_cosine: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The row that opens each shot, and its cosine to the mean of the shot before, which is 1 for the first."""
    first: list[int] = []
    cosines: list[float] = []
    total = np.zeros(unit.shape[1:])
    square = 0.0  # of the total's norm
    for row, vector in enumerate(unit):
        product = float(vector @ total)
        norm = math.sqrt(max(square, 0.0))
        if row == 0 or product < same_shot_cosine * norm or row - first[-1] == MAX_SHOT_ROWS:
            first.append(row)
            cosines.append(product / norm if norm else 1.0)
            total = vector.copy()
            square = float(vector @ vector)
        else:
            total += vector
            square += 2 * product + float(vector @ vector)
    return np.array(first, dtype=np.int64), np.array(cosines)
