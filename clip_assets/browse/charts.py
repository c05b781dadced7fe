"""Values over a video's time as the path of a drawing. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.shots import row_edges

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 1000, 100
"""Of the drawing, which is stretched to the room there is."""

_MOST_STEPS = 500


def area(
    times_ms: NDArray[np.float64], values: NDArray[np.float64], duration_ms: float, low: float, high: float
) -> str:
    """The closed path below a curve in steps, one for each sample, or for the highest of several that lie together.

    Args:
        times_ms: float64 (T,), the samples' times.
        values: float64 (T,).
        duration_ms: The end of the drawing's width.
        low: The value at the bottom.
        high: The value at the top.
    """
    if not len(values) or duration_ms <= 0:
        return ""
    edges = row_edges(times_ms, duration_ms)
    starts = np.unique(np.linspace(0, len(values), min(len(values), _MOST_STEPS), endpoint=False).astype(int))
    heights = np.maximum.reduceat(values, starts)
    x = np.append(edges[starts], edges[-1]) / edges[-1] * WIDTH
    y = HEIGHT * (1 - np.clip((heights - low) / max(high - low, 1e-9), 0, 1))
    steps = "".join(f"L{a:.1f} {v:.1f}H{b:.1f}" for a, b, v in zip(x[:-1], x[1:], y, strict=True))
    return f"M0 {HEIGHT}{steps}V{HEIGHT}Z"


def across(ms: float, duration_ms: float) -> float:
    """Where a time is on the drawing's width."""
    return round(WIDTH * min(max(ms / duration_ms, 0.0), 1.0), 1) if duration_ms > 0 else 0.0
