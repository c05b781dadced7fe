"""What a library answers: moments, similar videos, and what the reader should know of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, overload

from clip_assets.core.errors import ResultMissingError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from PIL.Image import Image

    from clip_assets.core.records import ScoreKind
    from clip_assets.core.search.upkeep import Census


@dataclass(frozen=True)
class Moment:
    """A stretch of a video that goes with what was asked for.

    Attributes:
        key: The video's partition key.
        from_ms: Where it begins, midway between two samples, or at 0.
        to_ms: Where it ends, midway between two samples, or at the video's end.
        best_ms: The time of the sample that goes best with it.
        score: The cosine of that sample's feature with the query.
        probability: Of the sentence: against the model's default sentences with ``softmax``, by itself with
            ``sigmoid``; None unless one sentence was asked for.
        fits_better: The default sentence that is likelier than the one asked for; empty where none is.
        also_in: Videos of the same content, by other names.
        score_kind: ``softmax`` or ``sigmoid``: what made the probability; empty where there is none. Probabilities of
            one kind aren't to be compared with those of the other.
    """

    key: str
    from_ms: float
    to_ms: float
    best_ms: float
    score: float
    probability: float | None = None
    fits_better: str = ""
    also_in: tuple[str, ...] = ()
    score_kind: ScoreKind | Literal[""] = ""
    _thumbnail: Callable[[], Image] | None = field(default=None, repr=False, compare=False)

    def thumbnail(self) -> Image:
        """A small picture of the moment, near its best time, as the model sees it where such are stored.

        Raises:
            ClipAssetsError: No picture is stored, and the video can't be read.
        """
        if self._thumbnail is None:
            raise ResultMissingError(f"Nothing is known of {self.key} that shows it.")
        return self._thumbnail()


@dataclass(frozen=True)
class SimilarVideo:
    """A video that is like another.

    Attributes:
        key: Its partition key.
        score: The cosine of the two videos' vectors, each the mean of its unit features.
    """

    key: str
    score: float


@dataclass(frozen=True, eq=False)
class Scores:
    """How well each sample of a video goes with what was asked for.

    Attributes:
        times_ms: float64 (T,), the samples' times.
        scores: float64 (T,), the cosine of each sample's feature with the query.
        duration_ms: Where the video ends.
    """

    times_ms: NDArray[np.float64]
    scores: NDArray[np.float64]
    duration_ms: float


@dataclass(frozen=True)
class Moments(Sequence[Moment]):
    """An answer: moments, the best first.

    Attributes:
        moments: What was found.
        names: Keys of videos whose names contain the sentence's words.
        notes: What the reader should know of it, in sentences.
        as_of: When the whole library was last compared with what is searched; None for never.
    """

    moments: tuple[Moment, ...]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    as_of: datetime | None = None

    @overload
    def __getitem__(self, place: int) -> Moment: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Moment, ...]: ...
    def __getitem__(self, place: int | slice) -> Moment | tuple[Moment, ...]:
        return self.moments[place]

    def __len__(self) -> int:
        return len(self.moments)

    def to_pandas(self) -> pd.DataFrame:
        """A data frame with a row for each moment and a column for each of its fields."""
        import pandas as pd

        columns = [name for name in Moment.__dataclass_fields__ if not name.startswith("_")]
        return pd.DataFrame([[getattr(moment, name) for name in columns] for moment in self], columns=columns)


def notes_of(census: Census, weights: str, videos: str) -> Iterator[str]:
    """What isn't searched, and why, in sentences.

    Args:
        census: What there is.
        weights: Of the model that is searched.
        videos: Where the videos are.
    """
    states = census.states.get(weights, {})
    if others := sum(count for (_, digest), count in census.models.items() if digest != weights):
        yield f"{_videos(others)} {'has' if others == 1 else 'have'} another model and {_are(others)}n't searched."
    if stale := states.get("stale", 0):
        yield f"{_videos(stale)} {_are(stale)} newer than what is stored of {'it' if stale == 1 else 'them'}."
    if removed := states.get("removed", 0):
        yield f"{_videos(removed)} {_are(removed)} gone from {videos} and {_are(removed)}n't shown."
    if unreadable := states.get("unreadable", 0):
        yield f"The stored features of {_videos(unreadable)} can't be read."
    if census.unlisted:
        yield f"{census.unlisted}; answers may hold videos that are gone."


def _videos(count: int) -> str:
    return f"{count:,} video{'' if count == 1 else 's'}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
