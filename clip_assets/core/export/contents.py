"""What can be exported of each video: features, shots or probabilities, as they are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clip_assets.core.digests import digest
from clip_assets.core.errors import ExportError, ResultCorruptError, ResultMissingError
from clip_assets.core.export.table import KEY, Batch, Column, Part, Table
from clip_assets.core.records import TextMatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clip_assets.core.store import Store
    from clip_assets.core.store.manifest import Manifest

What = Literal["features", "shots", "probabilities"]

ROWS_TOGETHER = 4096
"""Rows that are read at once: 8 MB of features 512 wide."""

_FEATURES, _MATCH = "clip_features", "text_match"


@dataclass(frozen=True)
class Field:
    """A column that a result holds.

    Attributes:
        stored: The record's field.
        column: The column's name.
        meaning: With its unit.
        is_vector: Whether a cell holds several numbers.
    """

    stored: str
    column: str
    meaning: str
    is_vector: bool = False


@dataclass(frozen=True)
class Content:
    """What a row is of.

    Attributes:
        asset: Whose results are read.
        counter: Name and meaning of the column that counts a video's rows.
        fields: The other columns.
    """

    asset: str
    counter: tuple[str, str]
    fields: tuple[Field, ...]


_ROW = ("row", "the sample's place among those of its video, from 0")
_SAMPLE_TIME = Field("timestamps_ms", "timestamp_ms", "ms, the sample's time")

CONTENTS: Mapping[What, Content] = {
    "features": Content(
        _FEATURES,
        _ROW,
        (
            _SAMPLE_TIME,
            Field("source_timestamps_ms", "source_timestamp_ms", "ms, when the encoded frame is on screen"),
            Field("indices", "frame_index", "the encoded frame, from 0 in the order of presentation"),
            Field("clip", "clip", "the image encoder's raw output, not normalised", is_vector=True),
        ),
    ),
    "shots": Content(
        "shots",
        ("shot", "the shot's place among those of its video, from 0"),
        (
            Field("from_ms", "from_ms", "ms, midway to the sample before; 0 for the first shot"),
            Field("to_ms", "to_ms", "ms, midway to the sample after; the video's end for the last shot"),
            Field("first_rows", "first_row", "the shot's first row in the features"),
            Field("last_rows", "last_row", "its last row"),
            Field("typical_rows", "typical_row", "the row that is most like the shot's mean"),
            Field("means", "mean", "mean of the shot's unit features, of norm 1", is_vector=True),
        ),
    ),
    "probabilities": Content(
        _MATCH,
        _ROW,
        (
            _SAMPLE_TIME,
            Field("probabilities", "probabilities", "of each sentence", is_vector=True),
        ),
    ),
}

_Kind = tuple[tuple[tuple[tuple[int, ...], str], ...], str]
"""What the results of a table have in common: of each field the shape of a row and the numbers' type; the sentences."""


def stored_table(
    store: Store, what: What, keys: Iterable[str], about: Mapping[str, str], float16: bool = False
) -> tuple[Table, dict[str, int]]:
    """The table of what is stored of these videos, and for what reasons how many of them have no rows in it.

    Args:
        store: Where it is.
        what: What a row is of.
        keys: The videos, whose features are of one model.
        about: What they have in common.
        float16: Whether vectors are rounded to half precision.

    Raises:
        ExportError: None of them has any.
        StoreError: The store can't be read.
    """
    content = CONTENTS[what]
    left_out: Counter[str] = Counter()
    found: list[tuple[_Kind, Part]] = []
    for key in sorted(keys):
        features = store.manifest(_FEATURES, key)
        manifest = features if content.asset == _FEATURES else store.manifest(content.asset, key)
        if features is None or manifest is None:
            left_out[f"without stored {what}"] += 1
        elif not features.parameters.items() <= manifest.parameters.items():
            left_out[f"whose {what} are of other features than those that are stored"] += 1
        else:
            found.append((_kind(content, manifest), _part(content, manifest)))
    if not found:
        raise ExportError(f"There are no {what} to export in {store.root}.")
    kinds = Counter(kind for kind, _ in found)
    kind = max(kinds, key=lambda one: (kinds[one], one))
    parts = tuple(part for its, part in found if its == kind)
    if len(parts) < len(found):
        left_out[f"whose {what} are of another form, or of other sentences, than most"] += len(found) - len(parts)
    texts: tuple[str, ...] = ()
    if what == "probabilities":
        match = _any_match(store, parts)
        texts, about = match.texts, {**about, "score_kind": match.score_kind}
    columns = _columns(content, kind, texts, float16)
    return Table(what, columns, parts, partial(_read, store, content, columns), about), dict(left_out)


def _kind(content: Content, manifest: Manifest) -> _Kind:
    arrays = [manifest.arrays[field.stored] for field in content.fields]
    form = tuple((array.shape[1:], array.dtype) for array in arrays)
    return form, str(manifest.parameters.get("texts_sha256", ""))


def _any_match(store: Store, parts: Iterable[Part]) -> TextMatch:
    """The match of one of these videos, which have the same sentences and the same model's score."""
    for part in parts:
        with suppress(ResultMissingError, ResultCorruptError):  # it will be told of that one
            return store.read(_MATCH, part.key, TextMatch)
    raise ExportError(f"None of the probabilities in {store.root} can be read.")


def _part(content: Content, manifest: Manifest) -> Part:
    rows = manifest.arrays[content.fields[0].stored].shape[0]
    return Part(manifest.partition_key, rows, manifest.data_version, _digest(manifest))


def _digest(manifest: Manifest) -> str:
    """Of the bytes of a stored result."""
    return digest({name: file.sha256 for name, file in manifest.files.items()})


def _columns(content: Content, kind: _Kind, texts: tuple[str, ...], float16: bool) -> tuple[Column, ...]:
    columns = [KEY, Column(content.counter[0], "int64", content.counter[1])]
    for field, (shape, stored) in zip(content.fields, kind[0], strict=True):
        if field.is_vector:
            dtype = "float16" if float16 else np.dtype(stored).name
            columns.append(Column(field.column, dtype, field.meaning, shape[0], texts))
        else:
            columns.append(Column(field.column, np.dtype(stored).name, field.meaning))
    return tuple(columns)


def _read(store: Store, content: Content, columns: Sequence[Column], part: Part) -> Iterator[Batch]:
    """The rows of a video, once all its bytes are compared."""
    manifest = store.manifest(content.asset, part.key)
    if manifest is None or _digest(manifest) != part.digest:
        raise ResultMissingError(f"What is stored of {part.key!r} became another while it was exported.")
    arrays = store.arrays(manifest, [field.stored for field in content.fields])
    named = {field.column: arrays[field.stored] for field in content.fields}
    return _batches(part, content.counter[0], {column.name: column.dtype for column in columns}, named)


def _batches(
    part: Part, counter: str, dtypes: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]
) -> Iterator[Batch]:
    for first in range(0, part.rows, ROWS_TOGETHER):
        end = min(first + ROWS_TOGETHER, part.rows)
        with np.errstate(over="raise"):
            try:
                rows = {name: array[first:end].astype(dtypes[name], copy=False) for name, array in arrays.items()}
            except FloatingPointError as error:
                raise ExportError(f"A number of {part.key!r} is beyond 65,504, the most in half precision.") from error
        yield {"key": [part.key] * (end - first), counter: np.arange(first, end), **rows}
