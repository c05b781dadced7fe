"""A table of all videos that is read as a stream, and what its columns are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Batch = Mapping[str, "Sequence[str] | NDArray[Any]"]
"""Some rows: for each column words, or numbers (N,), or (N, width)."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: Letters, digits and underscores.
        dtype: Of its numbers, as numpy calls it (``float32``); ``str`` for words.
        meaning: With its unit.
        width: How many numbers a cell holds; None where it is a plain one.
        labels: What each of a cell's numbers is of, where that has names.
    """

    name: str
    dtype: str
    meaning: str
    width: int | None = None
    labels: tuple[str, ...] = ()

    @property
    def cell_bytes(self) -> int:
        """Bytes of a cell of numbers; words count for nothing."""
        return 0 if self.dtype == "str" else np.dtype(self.dtype).itemsize * (1 if self.width is None else self.width)


KEY = Column("key", "str", "the video's path below the library")


@dataclass(frozen=True)
class Part:
    """The rows of one video, which lie together.

    Attributes:
        key: The video's partition key; empty where the rows aren't one video's.
        rows: How many.
        data_version: Of the result that they are read from.
        digest: Of that result's bytes.
    """

    key: str
    rows: int
    data_version: str
    digest: str


@dataclass(frozen=True)
class Table:
    """Rows of many videos.

    Attributes:
        what: What a row is of, in a word that may be part of a file's name.
        columns: The first is the video's key.
        parts: A part for each video, by key.
        read: The rows of a part, in order, some at a time. It raises a `ResultMissingError` or a `ResultCorruptError`
            before it gives any.
        about: What all rows have in common, by name.
    """

    what: str
    columns: tuple[Column, ...]
    parts: tuple[Part, ...]
    read: Callable[[Part], Iterator[Batch]] = field(repr=False)
    about: Mapping[str, str]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's numbers."""
        return sum(column.cell_bytes for column in self.columns)


def told_about(table: Table) -> dict[str, str]:
    """What is known of a table's rows, by name: what they have in common, data versions and labels as JSON."""
    versions = {part.key: part.data_version for part in table.parts}
    labels = {f"{column.name}_of": column.labels for column in table.columns if column.labels}
    as_json = {"data_versions": versions, **labels}
    return {**table.about, **{name: json.dumps(value, ensure_ascii=False) for name, value in as_json.items()}}


def size_in_words(size: int) -> str:
    """Bytes, for people."""
    return f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{size / 1e3:,.1f} kB"


def of_videos(count: int) -> str:
    """Whose rows they are, behind their number; empty where they aren't any video's."""
    return f" of {count:,} video{'' if count == 1 else 's'}" if count else ""
