"""What is stored of a library as rows that people take elsewhere: which videos, and what is left out and why."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.digests import digest
from clip_assets.core.errors import ExportError, LibraryError
from clip_assets.core.export.contents import What, stored_table
from clip_assets.core.export.exporting import Exported, export, is_current
from clip_assets.core.export.formats import FormatName, check_installed
from clip_assets.core.export.table import KEY, Batch, Column, Part, Table
from clip_assets.core.library.keys import is_under

if TYPE_CHECKING:
    import pyarrow as pa

    from clip_assets.asking.answers import Moments
    from clip_assets.core.library.source import VideoSource
    from clip_assets.core.search.entries import KnownResult, State
    from clip_assets.core.search.upkeep import Upkeep
    from clip_assets.core.store import Store

_STATES: Mapping[State, str] = {
    "stale": "that changed since its features were made",
    "removed": "that is gone from the folder of videos",
    "unreadable": "whose stored features can't be read",
}

_MOMENT = (
    KEY,
    Column("from_ms", "float64", "ms, where the moment begins"),
    Column("to_ms", "float64", "ms, where it ends"),
    Column("best_ms", "float64", "ms, the sample that goes best with what was asked for"),
    Column("score", "float64", "cosine of that sample's feature with the query"),
    Column("probability", "float64", "of the sentence, as score_kind says; NaN where not known"),
    Column("fits_better", "str", "the default sentence that is likelier; empty where none is"),
    Column("also_in", "str", "videos of the same content, by other names, joined by line breaks"),
    Column("score_kind", "str", "softmax: against the model's default sentences; sigmoid: by itself; empty: not known"),
)


@dataclass(frozen=True)
class Rows:
    """Rows of many videos, to be taken elsewhere; nothing is read before they are asked for.

    Attributes:
        table: What they are.
        notes: What has no rows among them, and why, in sentences.
    """

    table: Table
    notes: tuple[str, ...] = ()

    def to_arrow(self) -> pa.Table:
        """All of them in memory; what is known of them is in the schema's metadata.

        Raises:
            ExportError: pyarrow isn't installed.
            StoreError: A result can't be read.
        """
        check_installed("parquet", "pyarrow")
        from clip_assets.core.export.arrow_tables import to_arrow

        for note in self.notes:
            warnings.warn(note, stacklevel=3)
        return to_arrow(self.table)

    def export(
        self, format_name: FormatName, folder: Path, progress: Callable[[Sequence[Part]], None] | None = None
    ) -> Exported:
        """Let a folder hold them; see `core.export.exporting.export`."""
        return export(self.table, format_name, folder, progress)

    def is_current(self, format_name: FormatName, folder: Path) -> bool:
        """Whether a folder holds them already, as far as its own records tell."""
        return is_current(self.table, format_name, folder)


def stored_rows(
    store: Store,
    upkeep: Upkeep,
    source: VideoSource,
    model: tuple[str, str],
    what: What,
    under: str,
    float16: bool,
) -> Rows:
    """What is stored of the videos that are searched.

    Args:
        store: Where it is.
        upkeep: Of the index, which was just compared.
        source: The videos.
        model: Name and weights of the model that they are of.
        what: What a row is of.
        under: Only videos in this folder.
        float16: Whether vectors are rounded to half precision.

    Raises:
        ExportError: Nothing is stored of them.
        StoreError: The store can't be read.
    """
    known = [result for result in upkeep.cache.known().values() if is_under(result.key, under)]
    name, weights = model
    mine = [result for result in known if result.weights == weights]
    keys = [result.key for result in mine if result.state == "searched"]
    notes = [f"Left out: {words}." for words in _left_out(known, weights, source, under)]
    about = {"model_name": name, "weights_sha256": weights}
    try:
        table, left_out = stored_table(store, what, keys, about, float16)
    except ExportError as error:
        raise ExportError(" ".join([str(error), *notes])) from error
    return Rows(table, (*notes, *(f"Left out: {_videos(count)} {why}." for why, count in left_out.items())))


def moment_rows(found: Moments, asked: str) -> Rows:
    """An answer's moments, and what was asked."""
    values = [[getattr(moment, column.name) for moment in found] for column in _MOMENT]
    named = dict(zip((column.name for column in _MOMENT), values, strict=True))
    named["also_in"] = ["\n".join(keys) for keys in named["also_in"]]
    rows: Batch = {
        column.name: named[column.name] if column.dtype == "str" else np.array(named[column.name], dtype=np.float64)
        for column in _MOMENT
    }
    content = digest({name: [str(value) for value in column] for name, column in rows.items()})
    part = Part("", len(found), content, content)
    return Rows(Table("moments", _MOMENT, (part,), lambda _: iter([rows]), {"asked_for": asked}), found.notes)


def _left_out(known: Sequence[KnownResult], weights: str, source: VideoSource, under: str) -> Iterator[str]:
    """Which of the videos aren't searched, and so have no rows."""
    if others := sum(result.weights != weights for result in known):
        yield f"{_videos(others)} whose features are of another model"
    states = Counter(result.state for result in known if result.weights == weights)
    for state, words in _STATES.items():
        if states[state]:
            yield f"{_videos(states[state])} {words}"
    try:
        listed = {video.key for video in source.listing().videos if is_under(video.key, under)}
    except LibraryError:
        return  # of videos that can't be listed nobody knows what is missing
    if missing := len(listed - {result.key for result in known}):
        yield f"{_videos(missing)} without stored features, missing or failed"


def _videos(count: int) -> str:
    return f"{count:,} video{'' if count == 1 else 's'}"
