"""The index on disk, a cache: what a library's videos look like from afar. Anyone may delete it at any time.

A raw file of float16 holds vectors, a small SQLite database says whose they are. The file only grows: rows count from
the moment on at which the database's transaction is done, and what a killed writer left behind is written over. So
processes may read and write at once, and whoever loaded it yesterday still reads yesterday's rows.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import StoreError
from clip_assets.core.search.entries import Entry, KnownResult, State
from clip_assets.core.search.index import IndexedVideo, ShotIndex, pack_times

if TYPE_CHECKING:
    from clip_assets.core.records import SourceStat

_DATABASE = "shots.sqlite"
_SPARE_ROWS = 4096
_NO_STAT = (None, None, None)
_LOCK_SECONDS = 60.0
_VERSION = 3
_SCHEMA = """
CREATE TABLE files (weights TEXT PRIMARY KEY, name TEXT, width INTEGER, allocated INTEGER);
CREATE TABLE videos (
    directory TEXT PRIMARY KEY, identity TEXT, key TEXT, model TEXT, weights TEXT, source TEXT,
    size INTEGER, mtime_ns INTEGER, etag TEXT, state TEXT,
    rows INTEGER, duration_ms REAL, start INTEGER, first_rows BLOB, header INTEGER,
    times BLOB
);
CREATE INDEX of_weights ON videos (weights);
CREATE TABLE looks (at REAL);
"""


class CacheDamagedError(StoreError):
    """The index's files aren't what they were; it can be made again."""


class ShotCache:
    """The index of one output, in a folder of its own; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._changes = 0
        self._loaded: dict[str, tuple[object, ShotIndex]] = {}
        self._connect()

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._database.close()

    def reset(self) -> None:
        """Begin anew with an empty index, unless another process has done so since this one opened it."""
        with self._lock, _told(self._folder):
            self._database.close()
            if self._is_current():
                for path in self._folder.glob("*"):
                    path.unlink(missing_ok=True)
            self._connect()

    def known(self, directories: Iterable[str] | None = None) -> dict[str, KnownResult]:
        """Results by directory: all, or those of these directories that are known."""
        query = f"SELECT {', '.join(field.name for field in fields(KnownResult))} FROM videos"
        with self._reading() as database:
            if directories is None:
                rows = database.execute(query).fetchall()
            else:
                one = f"{query} WHERE directory = ?"
                rows = [row for name in directories for row in database.execute(one, (name,))]
        return {row[0]: KnownResult(*row) for row in rows}

    def counts(self) -> dict[tuple[str, str, State], int]:
        """How many results there are of each model's name and weights, in each state."""
        with self._reading() as database:
            rows = database.execute("SELECT model, weights, state, count(*) FROM videos GROUP BY 1, 2, 3").fetchall()
        return {(model, weights, state): count for model, weights, state, count in rows}

    def looked_at(self) -> float:
        """When the whole library was last compared with the index, seconds since 1970; 0 for never."""
        with self._reading() as database:
            return database.execute("SELECT coalesce(max(at), 0) FROM looks").fetchone()[0]

    def put(self, entries: Iterable[Entry]) -> None:
        """Add videos, in place of what was known of their directories."""
        ordered = sorted(entries, key=lambda entry: entry.weights)
        if not ordered:
            return
        with self._writing() as database:
            for weights, group in groupby(ordered, key=lambda entry: entry.weights):
                self._append(database, weights, list(group))
                self._compact(database, weights)

    def remove(self, directories: Iterable[str]) -> None:
        """Forget results."""
        values = [(name,) for name in directories]
        if not values:
            return
        with self._writing() as database:
            database.executemany("DELETE FROM videos WHERE directory = ?", values)

    def set_states(self, found: Mapping[str, tuple[State, SourceStat | None]]) -> None:
        """Note what was found out of videos' files, by directory, and the file as it was then."""
        values = [
            (state, *(astuple(stat) if stat else _NO_STAT), directory) for directory, (state, stat) in found.items()
        ]
        if not values:
            return
        with self._writing() as database:
            database.executemany(
                "UPDATE videos SET state = ?, size = ?, mtime_ns = ?, etag = ? WHERE directory = ?", values
            )

    def set_looked_at(self, at: float) -> None:
        """Note when the whole library was compared."""
        with self._transaction("BEGIN IMMEDIATE") as database:
            database.execute("DELETE FROM looks")
            database.execute("INSERT INTO looks VALUES (?)", (at,))

    def index(self, weights: str) -> ShotIndex:
        """The index of one model, loaded: the videos that are to be searched."""
        with self._reading() as database:
            version = (database.execute("PRAGMA data_version").fetchone(), self._changes, id(database))
            known = self._loaded.get(weights)
            if known is None or known[0] != version:
                known = self._loaded[weights] = (version, self._load(database, weights))
            return known[1]

    def _load(self, database: sqlite3.Connection, weights: str) -> ShotIndex:
        file = database.execute("SELECT name, width, allocated FROM files WHERE weights = ?", (weights,)).fetchone()
        if file is None or not file[2]:
            return ShotIndex.of((), np.empty((0, 1), np.int16))
        columns = "directory, key, identity, rows, duration_ms, start, first_rows, header, times"
        found = database.execute(
            f"SELECT {columns} FROM videos WHERE weights = ? AND state = 'searched' ORDER BY key", (weights,)
        ).fetchall()
        name, width, allocated = file
        videos = tuple(
            IndexedVideo(
                directory,
                key,
                identity,
                rows,
                duration_ms,
                start,
                np.frombuffer(firsts, np.int32),
                header,
                times,
                width,
            )
            for directory, key, identity, rows, duration_ms, start, firsts, header, times in found
        )
        return ShotIndex.of(videos, self._mapped(name, width, allocated))

    def _mapped(self, name: str, width: int, allocated: int) -> np.ndarray:
        path = self._folder / name
        try:
            if path.stat().st_size < allocated * width * 2:
                raise CacheDamagedError(f"{path} has lost some of its bytes.")
            return np.asarray(np.memmap(path, np.int16, "r", shape=(allocated, width)))
        except FileNotFoundError as error:
            raise CacheDamagedError(f"{path} is gone.") from error

    def _append(self, database: sqlite3.Connection, weights: str, entries: Sequence[Entry]) -> None:
        """Write the entries' vectors behind those that count, and say whose they are."""
        row = database.execute("SELECT name, width, allocated FROM files WHERE weights = ?", (weights,)).fetchone()
        usable = [entry.shots for entry in entries if entry.shots is not None]
        name, width, allocated = row or (_new_name(weights), usable[0].means.shape[1] if usable else 0, 0)
        blocks, values = [], []
        start = allocated
        for entry in entries:
            shots, state = entry.shots, "searched"
            if shots is None or shots.means.shape[1] != width:
                shots, state = None, "unreadable"
            stat = astuple(entry.stat) if entry.stat else _NO_STAT
            of_video = (entry.directory, entry.identity, entry.key, entry.model, weights, entry.source, *stat, state)
            firsts = b"" if shots is None else shots.first_rows.astype(np.int32).tobytes()
            times = b"" if entry.times_ms is None else pack_times(entry.times_ms)
            values.append((*of_video, entry.rows, entry.duration_ms, start, firsts, entry.header, times))
            if shots is not None:
                blocks += [shots.video[None], shots.means]
                start += 1 + len(shots.means)
        if blocks:
            self._write(self._folder / name, allocated * width * 2, np.concatenate(blocks), is_new=row is None)
            database.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (weights, name, width, start))
        places = ", ".join("?" * 16)
        database.executemany(f"INSERT OR REPLACE INTO videos VALUES ({places})", values)

    def _write(self, path: Path, offset: int, vectors: np.ndarray, is_new: bool) -> None:
        if not is_new and (not path.exists() or path.stat().st_size < offset):
            raise CacheDamagedError(f"{path} is gone or has lost some of its bytes.")
        with path.open("wb" if is_new else "r+b") as file:
            file.seek(offset)
            file.write(np.ascontiguousarray(vectors, dtype=np.float16).data)
            file.flush()
            os.fsync(file.fileno())  # before the database says that they count

    def _compact(self, database: sqlite3.Connection, weights: str) -> None:
        """Where most vectors are nobody's, copy the others to a new file."""
        row = database.execute("SELECT name, width, allocated FROM files WHERE weights = ?", (weights,)).fetchone()
        if row is None:
            return
        name, width, allocated = row
        found = database.execute(
            "SELECT directory, start, length(first_rows) / 4 + 1 FROM videos WHERE weights = ? AND first_rows != x''",
            (weights,),
        ).fetchall()
        live = sum(count for _, _, count in found)
        if allocated - live <= max(live, _SPARE_ROWS):
            return
        bits = self._mapped(name, width, allocated)
        new = _new_name(weights)
        kept = [bits[start : start + count] for _, start, count in found]
        vectors = np.concatenate(kept).view(np.float16) if kept else np.empty((0, width), np.float16)
        self._write(self._folder / new, 0, vectors, is_new=True)
        starts = np.cumsum([0, *(count for _, _, count in found)]).tolist()
        moved = [(start, directory) for start, (directory, _, _) in zip(starts, found, strict=False)]
        database.executemany("UPDATE videos SET start = ? WHERE directory = ?", moved)
        database.execute("UPDATE files SET name = ?, allocated = ? WHERE weights = ?", (new, live, weights))

    def _connect(self) -> None:
        with _told(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / _DATABASE
            try:
                self._open(path)
            except CacheDamagedError:
                for old in self._folder.glob("*"):
                    old.unlink(missing_ok=True)
                self._open(path)

    def _open(self, path: Path) -> None:
        with _told(self._folder):
            self._database = sqlite3.connect(path, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                self._database.execute("BEGIN IMMEDIATE")
                (version,) = self._database.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _SCHEMA.split(";"):
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA user_version = {_VERSION}")
                self._database.execute("COMMIT")
                if version not in (0, _VERSION):
                    raise CacheDamagedError(f"{path} is of another version.")
            except BaseException:
                self._database.close()
                raise
            self._inode = path.stat().st_ino
            self._sweep()

    def _sweep(self) -> None:
        """Remove files of vectors that the database doesn't name, once nobody can be about to name them."""
        with self._writing() as database:
            named = {name for (name,) in database.execute("SELECT name FROM files")}
            for path in self._folder.glob("*.f16"):
                if path.name not in named:
                    with suppress(OSError):
                        path.unlink()

    def _is_current(self) -> bool:
        with suppress(OSError):
            return (self._folder / _DATABASE).stat().st_ino == self._inode
        return False

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN") as database:
            yield database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN IMMEDIATE") as database:
            yield database
            self._changes += 1

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, _told(self._folder):
            if not self._is_current():
                self._database.close()
                self._connect()
            self._database.execute(begin)
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """What SQLite and the disk say, as errors that name the index."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"The index of shots {folder} can't be used: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise CacheDamagedError(f"The index of shots {folder} is damaged: {error}.") from error
    except OSError as error:
        raise StoreError(f"The index of shots {folder} can't be written: {error}.") from error


def _new_name(weights: str) -> str:
    return f"{weights[:16]}-{secrets.token_hex(4)}.f16"
