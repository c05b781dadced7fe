"""Copies of remote videos on this machine: bounded, shared by all processes, each one whole or absent.

A copy that somebody reads, or downloads, is locked (flock), and stays; of the others those go first that weren't used
for the longest time. What was killed in the middle leaves a file without a lock, which the next one writes anew.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from clip_assets.core.errors import VideoNotFetchedError
from clip_assets.core.user_cache import user_cache_folder

try:
    import fcntl
except ImportError:  # Windows, where a file that is open can't be removed
    fcntl = None  # type: ignore[assignment]

DEFAULT_LIMIT = 20 * 2**30
"""Bytes of copies that are kept by default."""

_PART = ".part"
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class VideoCache:
    """Copies of videos, by names that tell their content apart.

    Attributes:
        folder: Where they are; made when it is needed.
        limit: Bytes that are kept at most, save for what is in use: that stays, and takes the room that it takes.
    """

    folder: Path = field(default_factory=lambda: user_cache_folder() / "videos")
    limit: int = DEFAULT_LIMIT

    @classmethod
    def at(cls, folder: str | Path | None, limit: int) -> VideoCache:
        """The one in a folder; None: where the user's others are."""
        return cls(limit=limit) if folder is None else cls(Path(folder), limit)

    @contextmanager
    def held(self, name: str, size: int, download: Callable[[int], None]) -> Iterator[Path]:
        """The copy of that name, downloaded first where it isn't there; it stays as long as the context lasts.

        Args:
            name: Its file's.
            size: Bytes it has.
            download: Writes it into the open file of that descriptor.

        Raises:
            VideoNotFetchedError: There is no room for it, or the folder can't be used.
            Whatever ``download`` raises.
        """
        path = self.folder / name
        file = self._opened(path)
        while file is None:
            self._download(path, size, download)
            file = self._opened(path)
        try:
            yield path
        finally:
            os.close(file)
            self._keep_to_limit()

    def holds(self, name: str) -> bool:
        """Whether the copy is there by now."""
        return (self.folder / name).exists()

    def has_room(self, size: int) -> bool:
        """Whether so many bytes fit without what is in use having to go."""
        return sum(self._size(path) for path in self._files() if _is_in_use(path)) + size <= self.limit

    def fingerprint(self, name: str) -> str | None:
        """The fingerprint that was noted of a video of that name; None where none was."""
        with self._notes() as notes:
            row = notes.execute("SELECT fingerprint FROM fingerprints WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def note_fingerprint(self, name: str, fingerprint: str) -> None:
        """Note it, whether the copy stays or not: the same content needn't be read again for it."""
        with self._notes() as notes:
            notes.execute("INSERT OR REPLACE INTO fingerprints VALUES (?, ?)", (name, fingerprint))

    def _opened(self, path: Path) -> int | None:
        """A descriptor that keeps the copy from being removed; None where there is none."""
        try:
            file = os.open(path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        _flock(file, exclusively=False)
        if os.fstat(file).st_nlink:
            os.utime(file)
            return file
        os.close(file)  # removed before it was locked
        return None

    def _download(self, path: Path, size: int, download: Callable[[int], None]) -> None:
        """See to it that the copy was there, by whomever it is downloaded."""
        part = path.with_name(path.name + _PART)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._making_room():
                self._make_room(size, besides=part)
                file = _locked_part(part)
                if file is not None:
                    os.truncate(file, size)  # others count it
        except OSError as error:
            raise self._unusable(error) from error
        if file is None:
            time.sleep(_POLL_SECONDS)
            return
        try:
            if path.exists():  # another process was done in between
                part.unlink()
                return
            try:
                download(file)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._write_in_room(file, size, download)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(file)

    def _write_in_room(self, file: int, size: int, download: Callable[[int], None]) -> None:
        """Download once more on a full disk, after all copies went that nobody uses."""
        with self._making_room():
            for path in self._files():
                _remove_unused(path)
        try:
            download(file)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise VideoNotFetchedError(
                f"There is no room in {self.folder} for the {size:,} bytes of a video that is to be read"
            ) from error

    def _make_room(self, size: int, besides: Path | None = None) -> None:
        """Remove what wasn't used for the longest time until ``size`` more bytes fit, or all that is left is in use."""
        sizes = {path: self._size(path) for path in self._files() if path != besides}
        total = sum(sizes.values()) + size
        for path in sorted(sizes, key=_used_at):
            if total <= self.limit:
                break
            if _remove_unused(path):
                total -= sizes[path]

    def _keep_to_limit(self) -> None:
        """Remove what went beyond the limit while it was in use."""
        if sum(map(self._size, self._files())) > self.limit:
            with suppress(OSError), self._making_room():
                self._make_room(0)

    def _files(self) -> list[Path]:
        return [path for path in self.folder.glob("*") if not path.name.startswith(".")]

    def _size(self, path: Path) -> int:
        with suppress(FileNotFoundError):
            return path.stat().st_size
        return 0

    def _making_room(self) -> FileLock:
        return FileLock(self.folder / ".room.lock")

    @contextmanager
    def _notes(self) -> Iterator[sqlite3.Connection]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.folder / ".fingerprints.sqlite", timeout=60)) as notes, notes:
                notes.execute("CREATE TABLE IF NOT EXISTS fingerprints (name TEXT PRIMARY KEY, fingerprint TEXT)")
                yield notes
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> VideoNotFetchedError:
        return VideoNotFetchedError(f"Copies of videos can't be kept in {self.folder}: {error}")


def _flock(file: int, *, exclusively: bool, wait: bool = True) -> bool:
    """Lock an open file against other processes and threads; whether that was done."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _locked_part(part: Path) -> int | None:
    """An open, locked file of that name; None where another process or thread has it."""
    file = os.open(part, os.O_RDWR | os.O_CREAT, 0o644)
    if _flock(file, exclusively=True, wait=False):
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), part.stat()):
                return file
    os.close(file)  # or it was completed, and so renamed, before it was locked
    return None


def _used_at(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0


def _is_in_use(path: Path) -> bool:
    with suppress(FileNotFoundError):
        file = os.open(path, os.O_RDONLY)
        try:
            return not _flock(file, exclusively=True, wait=False)
        finally:
            os.close(file)
    return False


def _remove_unused(path: Path) -> bool:
    """Remove a file unless somebody reads or writes it; whether it is gone."""
    with suppress(FileNotFoundError):
        file = os.open(path, os.O_RDWR)
        try:
            if not _flock(file, exclusively=True, wait=False):
                return False
            path.unlink()
        finally:
            os.close(file)
    return True
