"""Tables as HDF5 files: a dataset for each column, and where each video's rows lie in them."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from clip_assets.core.export.table import Batch, Table, told_about

CHUNK_BYTES = 1024 * 1024
"""Of a column that lie together, and are read together."""

_WORD_BYTES = 16  # of words a file's columns hold references alone


class Hdf5File:
    """A file that is being written.

    Beside the columns there is a group ``videos``: of each video its ``key``, its ``first`` row and its number of
    ``rows``, so that one video is read alone. What is known of all rows are the words in the group ``about``.
    """

    def __init__(self, path: Path, table: Table) -> None:
        import h5py

        self._file = h5py.File(path, "w")
        self._rows = 0
        words, rows = h5py.string_dtype(), [part.rows for part in table.parts]
        for column in table.columns:
            cell = () if column.width is None else (column.width,)
            self._file.create_dataset(
                column.name,
                shape=(0, *cell),
                maxshape=(None, *cell),
                chunks=(max(1, min(sum(rows), CHUNK_BYTES // (column.cell_bytes or _WORD_BYTES))), *cell),
                dtype=words if column.dtype == "str" else column.dtype,
            )
        self._file.create_dataset("videos/key", data=[part.key for part in table.parts], dtype=words)
        self._file.create_dataset("videos/first", data=[0, *accumulate(rows[:-1])], dtype="int64")
        self._file.create_dataset("videos/rows", data=rows, dtype="int64")
        for name, value in told_about(table).items():
            self._file.create_dataset(f"about/{name}", data=value, dtype=words)

    def write(self, batch: Batch) -> None:
        """Add rows."""
        end = self._rows + len(batch["key"])
        for name, values in batch.items():
            self._file[name].resize(end, axis=0)
            self._file[name][self._rows : end] = values
        self._rows = end

    def close(self) -> None:
        """Close the file."""
        self._file.close()
