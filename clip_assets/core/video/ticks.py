"""Times of frames in ticks, where a container's own don't ascend. Pure.

Containers that count milliseconds give several frames of a fast camera the same tick. Such ticks are divided, so that
the frames between two of them keep their place.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import count, pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ascending(ticks: list[int], step: int | None) -> NDArray[np.int64]:
    """Times made to ascend: one that repeats, or steps back, comes a tick after the one before.

    Args:
        ticks: In the order in which frames are on screen.
        step: Where a time goes back by more than this, the clock was set anew: this long after the frame before. None
            where that was taken care of.
    """
    made = ticks[:1]
    shift = 0
    for before, tick in pairwise(ticks):
        if step is not None and tick < before - step:
            shift = made[-1] + step - tick
        made.append(max(tick + shift, made[-1] + 1))
    return np.array(made, dtype=np.int64)


def divided(ticks: list[int]) -> tuple[NDArray[np.int64], int]:
    """Times of frames that share ticks, in parts of a tick, and how many parts a tick has.

    That is 1, and the times are as they were, unless more frames share a tick than there are ticks until the next one:
    then each has its place within half a tick of its own. Frames that follow each other at a constant rate, as far as
    whole ticks can tell, do so exactly; of several such rates the one with the smallest denominator is taken.

    Args:
        ticks: In the order in which frames are on screen.
    """
    times = np.array(ticks, dtype=np.int64)
    if len(times) < 2 or np.any(np.diff(times) < 0):
        return times, 1
    shared, numbers = np.unique(times, return_counts=True)
    if not np.any(numbers[:-1] > np.diff(shared)):
        return times, 1
    if rate := _constant_rate(times - times[0]):
        parts, frames = rate.numerator, rate.denominator
        return times[0] * parts + np.arange(len(times)) * frames, parts
    parts = 2 * int(numbers.max())
    first = np.repeat(np.cumsum(numbers) - numbers, numbers)
    sharing = np.repeat(numbers, numbers)
    place = (2 * (np.arange(len(times)) - first) + 1) * parts // (2 * sharing)
    return times * parts - parts // 2 + place, parts


def _constant_rate(times: NDArray[np.int64]) -> Fraction | None:
    """Frames for each tick, at a constant rate that explains all times to less than a tick; None if there is none."""
    numbers = np.arange(1, len(times))
    least, most = ((times[1:] - 1) / numbers).max(), ((times[1:] + 1) / numbers).min()
    if not 0 < least < most:
        return None
    slowest, fastest = 1 / most, 1 / least
    middle = (slowest + fastest) / 2
    rates = (Fraction(round(middle * denominator), denominator) for denominator in count(1))
    return next(rate for rate in rates if slowest < rate < fastest)
