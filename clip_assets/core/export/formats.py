"""The formats that a table can be written in, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol

from clip_assets.core.errors import ExportError
from clip_assets.core.export.table import Batch, Table

FormatName = Literal["parquet", "webdataset", "hdf5", "csv"]


class Writer(Protocol):
    """A file that is being written."""

    def write(self, batch: Batch) -> None:
        """Add rows behind those that are there."""
        ...

    def close(self) -> None:
        """Write what is left. Of a file that failed it is called too, and what it leaves isn't used."""
        ...


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        suffix: Of its files' names, without the dot.
        library: The module that writes it; empty where Python does. It comes with the extra of the format's name.
        version: Of how a table is laid out in it; raise it where that changes, so that files are written again.
        open: Begins a file for a table's rows, which come to it in the order of the table's parts.
    """

    suffix: str
    library: str
    version: int
    open: Callable[[Path, Table], Writer]


def _parquet(path: Path, table: Table) -> Writer:
    from clip_assets.core.export.to_parquet import ParquetFile

    return ParquetFile(path, table)


def _webdataset(path: Path, table: Table) -> Writer:
    from clip_assets.core.export.to_webdataset import WebDatasetFile

    return WebDatasetFile(path, table)


def _hdf5(path: Path, table: Table) -> Writer:
    from clip_assets.core.export.to_hdf5 import Hdf5File

    return Hdf5File(path, table)


def _csv(path: Path, table: Table) -> Writer:
    from clip_assets.core.export.to_csv import CsvFile

    return CsvFile(path, table)


FORMATS: Mapping[FormatName, Format] = {
    "parquet": Format("parquet", "pyarrow", 1, _parquet),
    "webdataset": Format("tar", "webdataset", 1, _webdataset),
    "hdf5": Format("h5", "h5py", 1, _hdf5),
    "csv": Format("csv", "", 1, _csv),
}
"""The formats by name."""


def check_installed(extra: str, library: str) -> None:
    """Refuse to begin without a library.

    Raises:
        ExportError: It isn't installed.
    """
    if library and find_spec(library) is None:
        raise ExportError(
            f"{library} isn't installed, which this needs. Install it: pip install 'clip_assets[{extra}]'"
        )
