"""Tables as Arrow has them, in memory: for `to_parquet`, and for who asks for `to_arrow()` or `to_pandas()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.export.table import Batch, Column, Table, told_about

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "clip_assets."
"""Of the names in a schema's metadata, which others write to as well."""


def schema_of(table: Table) -> pa.Schema:
    """The table's schema, with what is told about its rows as metadata."""
    import pyarrow as pa

    fields = [pa.field(column.name, _arrow_type(column), nullable=False) for column in table.columns]
    return pa.schema(fields, metadata={PREFIX + name: value for name, value in told_about(table).items()})


def to_arrow(table: Table) -> pa.Table:
    """The whole table in memory.

    Raises:
        StoreError: A part can't be read.
    """
    import pyarrow as pa

    schema = schema_of(table)
    batches = (batch for part in table.parts for batch in table.read(part))
    copies = ({name: np.array(v) if isinstance(v, np.ndarray) else v for name, v in b.items()} for b in batches)
    return pa.Table.from_batches([record_batch(batch, schema) for batch in copies], schema)


def record_batch(batch: Batch, schema: pa.Schema) -> pa.RecordBatch:
    """Rows as a record batch; numbers aren't copied."""
    import pyarrow as pa

    return pa.record_batch([_arrow_array(batch[field.name], field.type) for field in schema], schema=schema)


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa

    plain = pa.string() if column.dtype == "str" else pa.from_numpy_dtype(np.dtype(column.dtype))
    return plain if column.width is None else pa.list_(plain, column.width)


def _arrow_array(values: Any, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind)
    return pa.array(values, type=kind)
