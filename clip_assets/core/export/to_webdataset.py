"""Tables as WebDataset: tar files with a sample for each row."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clip_assets.core.export.table import Batch, Table


class WebDatasetFile:
    """A file that is being written.

    A row is the sample ``<video's key>/<number>``: a ``.npy`` for each vector, and ``.json`` with all else.
    """

    def __init__(self, path: Path, table: Table) -> None:
        from webdataset import TarWriter

        self._vectors = [column.name for column in table.columns if column.width is not None]
        self._plain = [column.name for column in table.columns if column.width is None]
        self._file = path.open("wb")
        self._tar = TarWriter(self._file, mtime=0)
        self._rows: dict[str, int] = {}

    def write(self, batch: Batch) -> None:
        """Add rows."""
        plain = {name: np.asarray(batch[name]).tolist() for name in self._plain}
        for place, key in enumerate(batch["key"]):
            number = self._rows[key] = self._rows.get(key, -1) + 1
            vectors = {f"{name}.npy": batch[name][place] for name in self._vectors}
            cells = {name: values[place] for name, values in plain.items()}
            self._tar.write({"__key__": f"{key}/{number:08d}", **vectors, "json": cells})

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()
        self._file.close()
