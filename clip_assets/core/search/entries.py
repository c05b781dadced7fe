"""What the cache holds of each stored result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from clip_assets.core.records import Shots, SourceStat

State = Literal["searched", "stale", "removed", "unreadable"]
"""What is known of a video: ``stale``: the result is of another content; ``removed``: the video's file is gone;
``unreadable``: the stored result can't be read."""


@dataclass(frozen=True, eq=False)
class Entry:
    """A video as it is put into the cache.

    Attributes:
        directory: Where its result is, below the asset's directory.
        identity: Of its result, see `Store.identity`.
        key: Its partition key.
        model: The model's name.
        weights: The weights' SHA-256.
        source: The fingerprint of the video that the result is of.
        stat: The video's file when that was taken, if known.
        rows: Number of its features.
        duration_ms: Where it ends.
        shots: None where they can't be had.
    """

    directory: str
    identity: str
    key: str
    model: str
    weights: str
    source: str
    stat: SourceStat | None
    rows: int = 0
    duration_ms: float = 0.0
    shots: Shots | None = None


@dataclass(frozen=True, slots=True)
class KnownResult:
    """What the cache knows of a stored result, its shots aside; see `Entry`.

    Attributes:
        size: Bytes of the video's file when ``state`` was found out; None before.
        mtime_ns: The same file's time of modification.
        state: What was found out.
    """

    directory: str
    identity: str
    key: str
    model: str
    weights: str
    source: str
    size: int | None
    mtime_ns: int | None
    state: State
