"""Tables as CSV (RFC 4180): a column for each number, each in the fewest digits that give it back."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.export.table import Batch, Column, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CsvFile:
    """A file that is being written; it has no place for what is told about its rows."""

    def __init__(self, path: Path, table: Table) -> None:
        self._columns = table.columns
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(name for column in table.columns for name in _names(column))

    def write(self, batch: Batch) -> None:
        """Add rows."""
        cells = [cell for column in self._columns for cell in _cells(batch[column.name])]
        self._writer.writerows(zip(*cells, strict=True))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _names(column: Column) -> Sequence[str]:
    """The names of a column: of a vector's each number has its label's, or else its place behind the name."""
    if column.width is None:
        return [column.name]
    return column.labels or [f"{column.name}_{place}" for place in range(column.width)]


def _cells(values: Sequence[str] | NDArray[Any]) -> Iterator[Sequence[str]]:
    """The words of each of a column's columns."""
    if not isinstance(values, np.ndarray):
        yield values
    else:
        yield from values.astype(np.str_).reshape(len(values), -1).T.tolist()
