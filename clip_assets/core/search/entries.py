"""What the index holds of each stored result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clip_assets.core.records import Shots, SourceStat

State = Literal["searched", "stale", "removed", "unreadable"]
"""What is known of a video: ``stale``: the result is of another content; ``removed``: the video's file is gone;
``unreadable``: the stored result can't be read."""


@dataclass(frozen=True, slots=True)
class _Result:
    """A stored result of the features.

    Attributes:
        directory: Where it is, below the asset's directory.
        identity: See `Store.identity`.
        key: Its partition key.
        model: The model's name.
        weights: The weights' SHA-256.
        source: The fingerprint of the video that it is of.
    """

    directory: str
    identity: str
    key: str
    model: str
    weights: str
    source: str


@dataclass(frozen=True, slots=True, eq=False)
class Entry(_Result):
    """A video as it is put into the index.

    Attributes:
        stat: The video's file when its fingerprint was taken, if known.
        rows: Number of its features.
        duration_ms: Where it ends.
        shots: None where they can't be had.
        header: Bytes before the features in their file; 0 where they don't have one of their own.
        times_ms: float64 (T,), of the samples.
    """

    stat: SourceStat | None
    rows: int = 0
    duration_ms: float = 0.0
    shots: Shots | None = None
    header: int = 0
    times_ms: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class KnownResult(_Result):
    """What the index knows of a result, its shots aside.

    Attributes:
        size: Bytes of the video's file when ``state`` was found out; None before.
        mtime_ns: The same file's time of modification.
        etag: What an object store called it, if it did.
        state: What was found out.
    """

    size: int | None
    mtime_ns: int | None
    etag: str | None
    state: State
