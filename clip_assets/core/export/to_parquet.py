"""Tables as Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clip_assets.core.export.arrow_tables import record_batch, schema_of
from clip_assets.core.export.table import Batch, Table

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_BYTES = 32 * 1024 * 1024
"""Of numbers in a row group: so much is held in memory, and so much is read at least by who wants a row."""


class ParquetFile:
    """A file that is being written: row groups of many videos' rows, each page with its checksum.

    The bytes of floats are laid out by their place in the number before zstd packs them; only words have dictionaries.
    """

    def __init__(self, path: Path, table: Table) -> None:
        from pyarrow.parquet import ParquetWriter

        self._schema = schema_of(table)
        floats = [column for column in table.columns if column.dtype.startswith("float")]
        self._file = ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            use_dictionary=[column.name for column in table.columns if column.dtype == "str"],
            use_byte_stream_split=[c.name if c.width is None else f"{c.name}.list.element" for c in floats],
            write_page_checksum=True,
        )
        self._waiting: list[pa.RecordBatch] = []
        self._rows_waiting = 0
        self._rows_of_group = max(1, ROW_GROUP_BYTES // max(1, table.row_bytes))

    def write(self, batch: Batch) -> None:
        """Add rows; they wait until a row group is full."""
        rows = record_batch(batch, self._schema)
        self._waiting.append(rows)
        self._rows_waiting += rows.num_rows
        if self._rows_waiting >= self._rows_of_group:
            self._write_group()

    def close(self) -> None:
        """Write what waits, and the footer."""
        if self._waiting:
            self._write_group()
        self._file.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        group = pa.Table.from_batches(self._waiting, self._schema)
        self._file.write_table(group, row_group_size=group.num_rows)
        self._waiting, self._rows_waiting = [], 0
