"""What the pictures show, as numbers: similarity, change, the strongest sentences, lines of text characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from clip_assets.core.records import TextMatch

_BLOCKS = "▁▂▃▄▅▆▇█"


def spread(count: int, limit: int) -> NDArray[np.int64]:
    """At most ``limit`` of ``count`` positions, int64, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, limit)).round().astype(np.int64))


def group_starts(count: int, limit: int) -> NDArray[np.int64]:
    """Where each of at most ``limit`` consecutive groups of ``count`` items begins, int64 (M,); sizes differ by 1."""
    groups = min(count, limit)
    return np.arange(groups, dtype=np.int64) * count // max(groups, 1)


def group_means(values: NDArray[np.floating], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of each group of rows, float64 (M, ...), for the groups of `group_starts`."""
    sizes = np.diff(np.append(starts, len(values)))
    sums = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
    means: NDArray[np.float64] = sums / sizes.reshape(-1, *[1] * (values.ndim - 1))
    return means


def self_similarity(clip: ArrayLike, limit: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The cosine of every sampled frame with every other; of long videos the mean over each pair of groups of frames.

    Args:
        clip: float (T, D), features.
        limit: The most groups.

    Returns:
        float64 (M, M), and where each group begins, int64 (M,). A mean of cosines is the product of mean embeddings,
        so nothing of size (T, T) is made.
    """
    starts = group_starts(len(np.asarray(clip)), limit)
    means = group_means(_embeddings(clip), starts)
    return means @ means.T, starts


def changes(clip: ArrayLike) -> NDArray[np.float64]:
    """1 - cosine of each sampled frame with the one before, float64 (T - 1,)."""
    embeddings = _embeddings(clip)
    return 1.0 - np.einsum("td,td->t", embeddings[1:], embeddings[:-1], dtype=np.float64)


def strongest(match: TextMatch, limit: int) -> list[int]:
    """The sentences with the highest mean probability over the samples, at most ``limit``, the strongest first."""
    return np.argsort(-match.probabilities.mean(axis=0), kind="stable")[:limit].tolist()


def sparkline(values: ArrayLike, width: int, low: float, high: float) -> str:
    """The values as a line of at most ``width`` block characters, ``low`` the lowest one and ``high`` the full one."""
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) == 0:
        return ""
    means = group_means(numbers, group_starts(len(numbers), width))
    levels = (means - low) / max(high - low, np.finfo(np.float64).tiny) * len(_BLOCKS)
    return "".join(_BLOCKS[int(level)] for level in np.clip(np.nan_to_num(levels), 0, len(_BLOCKS) - 1))


def frame_spacing(timestamps_ms: NDArray[np.float64]) -> str:
    """How far apart the frames of a video are, in words; where it varies, with a histogram from least to most."""
    gaps = np.diff(timestamps_ms)
    if len(gaps) == 0:
        return "a single frame"
    least, most = gaps.min(), gaps.max()
    if most - least < 2.0:  # containers that count in milliseconds round 33.37 to 33 or 34
        return f"constant: {np.mean(gaps):.4g} ms"
    counts, _ = np.histogram(gaps, bins=12)
    histogram = "".join("·" if count == 0 else sparkline([count], 1, 0, counts.max()) for count in counts)
    return f"variable: {least:.4g} ms {histogram} {most:.4g} ms, median {np.median(gaps):.4g} ms"


def _embeddings(clip: ArrayLike) -> NDArray[np.floating]:
    """Each feature divided by its L2 norm."""
    features = np.asarray(clip)
    with np.errstate(invalid="ignore", divide="ignore"):
        embeddings: NDArray[np.floating] = features / np.linalg.norm(features, axis=1, keepdims=True)
    return embeddings
