"""A question as an address holds it, to be shared, refined and asked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from clip_assets.core.errors import QueryError
from clip_assets.core.search.queries import NOT_WEIGHT

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

MOST = 200
"""The most moments that are asked for."""


@dataclass(frozen=True)
class Question:
    """What is asked for.

    Attributes:
        q: A sentence; may be empty.
        like: Moments, as in ``a.mp4@12-15``.
        unlike: Moments that it should be unlike, in the same form.
        without: A sentence that it should be unlike; may be empty.
        image: The name of a picture that was uploaded; may be empty.
        under: Only videos in this folder.
        min_score: The least score; None for any.
        per_video: The most moments of a video.
        top: The most moments.
        at: The moment that is played, in the form of ``like``; may be empty.
    """

    q: str = ""
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    without: str = ""
    image: str = ""
    under: str = ""
    min_score: float | None = None
    per_video: int = 3
    top: int = 20
    at: str = ""

    @classmethod
    def of(cls, given: QueryParams) -> Question:
        """The question of an address; what it doesn't know is left out.

        Raises:
            QueryError: A number isn't one, or isn't allowed.
        """
        words = {name: given.get(name, "").strip() for name in ("q", "without", "image", "under", "at")}
        return cls(
            **words,
            like=tuple(filter(None, given.getlist("like"))),
            unlike=tuple(filter(None, given.getlist("unlike"))),
            min_score=_number(given, "min_score"),
            per_video=_count(given, "per_video", 3),
            top=_count(given, "top", 20),
        )

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.q or self.like or self.image)

    @property
    def words(self) -> str:
        """The question in words, for a title."""
        parts = [self.q, *(f"like {place}" for place in self.like), *(["a picture"] if self.image else [])]
        parts += [f"not like {place}" for place in self.unlike] + ([f"not {self.without}"] if self.without else [])
        return ", ".join(filter(None, parts))

    def arguments(self, picture: bytes | None) -> dict[str, Any]:
        """What `Library.find` and `Library.scores` take of it."""
        unlike = [f"{place}:{NOT_WEIGHT}" for place in self.unlike]
        return {
            "sentence": self.q or None,
            "like": [*self.like, *unlike],
            "image": [picture] if picture else [],
            "without": [self.without] if self.without else [],
        }

    def url(self, **changes: Any) -> str:
        """The address of this question, or of one that differs in these things."""
        values = self.fields(**changes)
        return f"/search?{urlencode(values, quote_via=quote)}" if values else "/search"

    def elsewhere(self, *, of_same_videos: bool) -> str:
        """The address of this question in another library, whose model and scores may be others; ``/`` for none.

        A picture that was uploaded stays where it is, and so do moments of videos that the other doesn't have.

        Args:
            of_same_videos: Whether the other library is of the same videos.
        """
        kept = replace(self, image="", min_score=None, at="")
        if not of_same_videos:
            kept = replace(kept, like=(), unlike=(), under="")
        return kept.url() if kept.is_asked else "/"

    def fields(self, **changes: Any) -> list[tuple[str, str]]:
        """Name and value of all that isn't as usual, of this question or of one that differs in these things."""
        changed, usual = replace(self, **changes), Question()
        pairs: list[tuple[str, str]] = []
        for name in (field.name for field in fields(Question)):
            value = getattr(changed, name)
            if value != getattr(usual, name):
                pairs += [(name, str(one)) for one in (value if isinstance(value, tuple) else [value])]
        return pairs


def place(key: str, from_ms: float, to_ms: float) -> str:
    """A moment as a question names it."""
    return f"{key}@{_seconds(from_ms)}-{_seconds(to_ms)}"


def address(kind: str, key: str, **parameters: str | float | None) -> str:
    """The address of something of a video, as in ``/video/sports/a.mp4?t=2``."""
    given: Mapping[str, Any] = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"/{kind}/{quote(key, safe='/')}" + (f"?{urlencode(given, quote_via=quote)}" if given else "")


def without(places: Sequence[str], one: str) -> tuple[str, ...]:
    """The places save one."""
    return tuple(place for place in places if place != one)


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")


def _number(given: QueryParams, name: str) -> float | None:
    words = given.get(name, "").strip()
    if not words:
        return None
    try:
        value = float(words)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise QueryError(f"{name} is {words[:80]!r}; allowed is a number.")
    return value


def _count(given: QueryParams, name: str, usual: int) -> int:
    value = _number(given, name)
    if value is not None and not (1 <= value <= MOST and value == int(value)):
        raise QueryError(f"{name} is {value:g}; allowed is a whole number from 1 to {MOST}.")
    return usual if value is None else int(value)
