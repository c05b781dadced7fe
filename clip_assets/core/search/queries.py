"""What a query is made of: weighted sentences, pictures and moments, as one vector. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import QueryError
from clip_assets.core.shots import row_edges, unit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

NOT_WEIGHT = -0.5
"""Of what a query is not about: as much as its opposite, it would outweigh what it is about."""

_FILLERS = {"the", "and", "with", "are", "for"}
_WEIGHT = re.compile(r"(?P<what>.+):(?P<weight>-?[0-9]*\.[0-9]+|-?[0-9]+\.)", re.DOTALL)
_MOMENT = re.compile(r"(?P<key>.+)@(?P<start>[0-9]+(?:\.[0-9]+)?)(?:-(?P<end>[0-9]+(?:\.[0-9]+)?))?", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A moment of a video, as a query names it.

    Attributes:
        key: The video's partition key.
        from_ms: Where it begins.
        to_ms: Where it ends; the same for a single time.
    """

    key: str
    from_ms: float
    to_ms: float


def split_weight(words: str, weight: float = 1.0) -> tuple[str, float]:
    """What comes before a weight, and the weight: ``a dog:0.5`` is (a dog, 0.5).

    A weight is a colon and a number with a decimal point at the end, so that ``at 10:30`` stays a sentence.

    Args:
        words: A sentence, a path or a place, perhaps with a weight.
        weight: Where there is none; where there is one, its sign counts.
    """
    match = _WEIGHT.fullmatch(words)
    if match is None:
        return words, weight
    return match["what"], math.copysign(1.0, weight) * float(match["weight"])


def parse_place(words: str) -> Place:
    """A moment: ``sports/lifting.mp4@12.3`` or ``sports/lifting.mp4@12-15``, in seconds.

    Raises:
        QueryError: It has another form.
    """
    match = _MOMENT.fullmatch(words)
    if match is None:
        raise QueryError(f"{words[:300]!r} names no moment; allowed are KEY@SECONDS and KEY@SECONDS-SECONDS.")
    start, end = float(match["start"]), float(match["end"] or match["start"])
    if end < start:
        raise QueryError(f"{words[:300]!r} ends before it begins.")
    return Place(match["key"], 1000 * start, 1000 * end)


def rows_at(place: Place, timestamps_ms: NDArray[np.float64], duration_ms: float) -> tuple[int, int]:
    """First row of a place, and the row after its last: those whose time touches it.

    Args:
        place: A moment of the video.
        timestamps_ms: float64 (T,), the samples' times.
        duration_ms: Where the video ends.

    Raises:
        QueryError: The video has ended by then.
    """
    edges = row_edges(timestamps_ms, duration_ms)
    if place.from_ms > edges[-1] or len(edges) < 2:
        raise QueryError(f"{place.key} lasts {edges[-1] / 1000:g} s; asked was for {place.from_ms / 1000:g} s.")
    first = int(np.searchsorted(edges, place.from_ms, side="right")) - 1
    end = int(np.searchsorted(edges, place.to_ms, side="left"))
    first = min(first, len(timestamps_ms) - 1)
    return first, max(min(end, len(timestamps_ms)), first + 1)


def weighted_sum(vectors: Sequence[ArrayLike], weights: Sequence[float]) -> NDArray[np.float64]:
    """The direction of a weighted sum of directions: float64 (D,), of norm 1.

    Args:
        vectors: (D,) each, of any norm but zero.
        weights: One each; negative for what it is not to be like.

    Raises:
        QueryError: There is nothing to sum, or the sum has no direction.
    """
    parts = [weight * unit_rows(vector) for vector, weight in zip(vectors, weights, strict=True)]
    if not parts:
        raise QueryError("There is nothing to look for: give a sentence, a picture or a moment.")
    total = np.sum(parts, axis=0)
    if not np.linalg.norm(total) > 1e-6:
        raise QueryError("What is asked for cancels out: its parts are the same, and their weights sum up to nothing.")
    return unit_rows(total)


def checked_sentence(sentence: str) -> str:
    """A sentence without the space around it.

    Raises:
        QueryError: It is empty.
    """
    sentence = sentence.strip()
    if not sentence:
        raise QueryError("The sentence is empty: there is nothing to look for.")
    return sentence


def names_with(words: str, keys: Iterable[str], limit: int = 10) -> tuple[str, ...]:
    """The keys that contain all of the words, at most ``limit``; articles and words of up to 2 letters don't count."""
    parts = [part for part in re.findall(r"\w+", words.casefold()) if len(part) >= 3 and part not in _FILLERS]
    if not parts:
        return ()
    found = (key for key in keys if all(part in key.casefold() for part in parts))
    return tuple(islice(found, limit))
