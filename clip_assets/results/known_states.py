"""What was found out of each video's results, remembered on this machine: nothing is compared again that is as it was.

The states of very many videos are asked for often, and hardly any changes meanwhile. A row says what came of comparing
a video's results with the settings, and by what token: a digest of all that it rests on. Anyone may delete the file at
any time; where it can't be used, all is compared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

_SCHEMA = "CREATE TABLE IF NOT EXISTS videos (key TEXT PRIMARY KEY, token BLOB, told TEXT) WITHOUT ROWID"
_LOCK_SECONDS = 5.0

Row = tuple[bytes, str]
"""A token, and what was found out, as JSON."""


class KnownStates:
    """The rows of one output, in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Row]:
        """All rows by partition key."""
        with suppress(sqlite3.Error, OSError), self._opened() as database:
            return {key: (token, told) for key, token, told in database.execute("SELECT key, token, told FROM videos")}
        return {}

    def write(self, rows: Mapping[str, Row]) -> None:
        """Put rows in place of those of the same keys."""
        if not rows:
            return
        values = [(key, *row) for key, row in rows.items()]
        with suppress(sqlite3.Error, OSError), self._opened() as database:
            database.executemany("INSERT OR REPLACE INTO videos VALUES (?, ?, ?)", values)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The database in a transaction; a damaged file is removed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self._path, timeout=_LOCK_SECONDS)) as database, database:
                database.execute("PRAGMA synchronous = OFF")  # it may be lost
                database.execute(_SCHEMA)
                yield database
        except sqlite3.OperationalError:  # locked for long, or the disk is full
            raise
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            raise
