"""What is remembered between two looks at the library, in pages that the name of the newest state vouches for.

A state is the sum of its pages, a later one before an earlier one, and its name lists them with their digests. A new
state adds a page with what differs from the one before; pages are merged as they come to be of a size, so that writing
costs what changed, and reading what there is. No page is changed that the current state is made of. Whoever keeps the
name (a sensor's cursor, which Dagster commits together with what the sensor asked for) decides which state counts, so
that a look that dies half-way is as if it had never been. A lost page costs only a second look at its videos.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from clip_assets.core.library.changes import KnownVideo, Sighting

PAGE = 10_000
"""Videos of a page at most: some megabytes."""

_SPARE = 16
"""Numbers beyond those that are needed. Which of the free ones a page gets, its content says, so that a look that was
given up on and goes on all the same hardly ever writes where a later one did."""

_Entries = dict[str, Any]
"""By key what is known and what was seen, as JSON has it; None for a video that isn't remembered any more."""


class Pages(Protocol):
    """Where pages are kept: texts by number, of which a text that was written is there for whoever looks later."""

    def read(self, numbers: Iterable[int], /) -> Mapping[int, str]:
        """The pages of these numbers that there are."""
        ...

    def write(self, number: int, text: str, /) -> None:
        """Put a page in place of the one of that number."""
        ...


@dataclass(frozen=True)
class LibraryState:
    """What is remembered.

    Attributes:
        known: Videos whose results were asked for, by key.
        sightings: New and changed videos that may still be written to, by key.
    """

    known: Mapping[str, KnownVideo] = field(default_factory=dict)
    sightings: Mapping[str, Sighting] = field(default_factory=dict)


@dataclass(frozen=True)
class _Page:
    """A page that was written: its number, the digest of its text, and what it says."""

    number: int
    digest: str
    entries: _Entries

    def __str__(self) -> str:
        return f"{self.number}-{self.digest}"


class LibraryMemory:
    """The state of one name, and the way to the next one.

    Args:
        pages: Where its pages are.
        name: Of the state, as `remember` gave it; empty for none.
        folder: Where a state of one file is that has a name of before there were pages.
    """

    def __init__(self, pages: Pages, name: str, folder: Path) -> None:
        self._pages = pages
        self._name = name
        self._taken = {int(page.partition("-")[0]) for page in _pages_of(name)}
        self._read = list(self._read_pages())
        self._before = _state(self._read)
        self.state = _from_file(folder, name) if name and not self._taken else self._before

    def remember(self, state: LibraryState) -> str:
        """Write what differs; the name of the new state.

        Raises:
            Exception: What the pages raise.
        """
        differing = _differing(self._before, state)
        if not differing:
            return self._name
        kept = list(self._read)
        written = sum(len(page.entries) for page in kept) + len(differing)
        if written > 2 * len({**state.known, **state.sightings}) + PAGE:  # most of it counts no more
            kept, differing = [], {**state.known, **state.sightings}.keys()
        entries = {key: _entry(state, key) for key in differing}
        while kept and len(kept[-1].entries) <= min(2 * len(entries), PAGE - len(entries)):
            entries = kept.pop().entries | entries
        if not kept:
            entries = {key: entry for key, entry in entries.items() if entry is not None}
        return ",".join(map(str, [*kept, *self._written(entries)]))

    def _written(self, entries: _Entries) -> Iterable[_Page]:
        keys = sorted(entries)
        for start in range(0, len(keys), PAGE):
            of_page = {key: entries[key] for key in keys[start : start + PAGE]}
            text = json.dumps(of_page, separators=(",", ":"))
            digest = _digest(text)
            free = [number for number in range(len(self._taken) + _SPARE) if number not in self._taken]
            number = free[int(digest, 16) % len(free)]
            self._taken.add(number)
            self._pages.write(number, text)
            yield _Page(number, digest, of_page)

    def _read_pages(self) -> Iterable[_Page]:
        """The pages of the state that are there and whole."""
        texts = self._pages.read(self._taken) if self._taken else {}
        for page in _pages_of(self._name):
            number, _, digest = page.partition("-")
            text = texts.get(int(number))
            if text is not None and _digest(text) == digest:
                yield _Page(int(number), digest, json.loads(text))


def _pages_of(name: str) -> list[str]:
    return [page for page in name.split(",") if "-" in page]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _differing(before: LibraryState, after: LibraryState) -> Collection[str]:
    """The keys of which the two don't say the same."""
    known = {key for key, video in after.known.items() if before.known.get(key) != video}
    seen = {key for key, sighting in after.sightings.items() if before.sightings.get(key) != sighting}
    return (
        known | seen | (before.known.keys() - after.known.keys()) | (before.sightings.keys() - after.sightings.keys())
    )


def _entry(state: LibraryState, key: str) -> Any:
    known, seen = state.known.get(key), state.sightings.get(key)
    return [known and astuple(known), seen and astuple(seen)] if known or seen else None


def _state(pages: Iterable[_Page]) -> LibraryState:
    entries: _Entries = {}
    for page in pages:
        entries |= page.entries
    told = {key: entry for key, entry in entries.items() if entry is not None}
    return LibraryState(
        known={key: KnownVideo(*known) for key, (known, _) in told.items() if known},
        sightings={key: Sighting(*seen) for key, (_, seen) in told.items() if seen},
    )


def _from_file(folder: Path, name: str) -> LibraryState:
    """The state of a file; an empty one where it is lost or damaged."""
    try:
        data = (folder / f"{name}.json").read_bytes()
    except OSError:
        return LibraryState()
    if hashlib.sha256(data).hexdigest()[:32] != name:
        return LibraryState()
    content = json.loads(data)
    return LibraryState(
        known={key: KnownVideo(*values) for key, values in content["known"].items()},
        sightings={key: Sighting(*values) for key, values in content["sightings"].items()},
    )
