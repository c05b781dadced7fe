"""Which videos of the library a page lists, and in which order, as an address holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from clip_assets.core.library.keys import is_under

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

    from clip_assets.browse.holdings import Video

SORTS: Mapping[str, tuple[str, Callable[[Video], Any], bool]] = {
    "name": ("name", attrgetter("key"), False),
    "newest": ("newest first", attrgetter("created"), True),
    "longest": ("longest first", lambda video: video.seconds or 0.0, True),
    "frames": ("most frames first", lambda video: video.frames or 0, True),
    "state": ("state", attrgetter("state"), False),
}
"""By the word in the address: in words, by what, and whether the greatest comes first."""

STATES = ("done", "failed", "stale", "waiting", "gone", "stored")
SIZES = (100, 250, 1000)


@dataclass(frozen=True)
class Shown:
    """One page of a list.

    Attributes:
        videos: Those on it.
        count: How many there are on all pages.
        page: Its number, from 1 on.
        pages: How many pages there are.
    """

    videos: Sequence[Video]
    count: int
    page: int
    pages: int


@dataclass(frozen=True)
class Listing:
    """What is listed.

    Attributes:
        name: Words that the key holds; may be empty.
        under: A folder; may be empty.
        state: A state; empty for all.
        sort: One of `SORTS`.
        view: ``grid`` or ``table``.
        size: Videos on a page.
        page: Its number, from 1 on.
    """

    name: str = ""
    under: str = ""
    state: str = ""
    sort: str = "name"
    view: str = "grid"
    size: int = SIZES[0]
    page: int = 1

    @classmethod
    def of(cls, given: QueryParams) -> Listing:
        """The listing of an address; what isn't allowed is as usual."""
        usual = cls()
        numbers = {name: given.get(name, "") for name in ("size", "page")}
        counts = {name: int(text) if text.isascii() and text.isdecimal() else 0 for name, text in numbers.items()}
        return cls(
            given.get("name", "").strip(),
            given.get("under", "").strip(),
            given.get("state", "") if given.get("state") in STATES else usual.state,
            given.get("sort", "") if given.get("sort") in SORTS else usual.sort,
            given.get("view", "") if given.get("view") in ("grid", "table") else usual.view,
            counts["size"] if counts["size"] in SIZES else usual.size,
            max(1, counts["page"]),
        )

    def of_videos(self, videos: Sequence[Video]) -> Shown:
        """The page of these videos; the last one, if there aren't that many."""
        found = list(videos)
        if self.state:
            found = [video for video in found if video.state == self.state]
        if self.under:
            found = [video for video in found if is_under(video.key, self.under)]
        for word in self.name.casefold().split():
            found = [video for video in found if word in video.key.casefold()]
        _, by, is_reversed = SORTS[self.sort]
        found.sort(key=by, reverse=is_reversed)
        pages = max(1, -(-len(found) // self.size))
        page = min(self.page, pages)
        return Shown(found[(page - 1) * self.size : page * self.size], len(found), page, pages)

    def url(self, **changes: Any) -> str:
        """The address of this list, or of one that differs in these things."""
        changed, usual = replace(self, **changes), Listing()
        given = {field.name: getattr(changed, field.name) for field in fields(Listing)}
        given = {name: value for name, value in given.items() if value != getattr(usual, name)}
        return "/videos" + (f"?{urlencode(given, quote_via=quote)}" if given else "")
