"""Directories of files that change as one: what the store asks of them, and a local disk's.

A directory counts as written when its last file (the manifest) is there, so every change removes that file first and
writes it last. Files of others, and directories below, are left alone.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Protocol

from clip_assets.core.picture import PICTURE_SUFFIXES

if sys.platform != "win32":
    import fcntl

# Names that end so are files of the store; a directory of a partition never does.
TEMPORARY_SUFFIX = ".tmp"
RESULT_SUFFIXES = (".npy", ".pkl", *PICTURE_SUFFIXES)

_ABANDONED_SECONDS = 3600.0
_MAPPED_BYTES = 1 << 20
_LOCK_ATTEMPTS = 100


class Files(Protocol):
    """Where the store keeps its bytes. Paths are absolute, joined by ``/``; all methods raise OSError."""

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        ...

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        """The bytes of several files, at once where that is faster; None for one that isn't there."""
        ...

    def mapped(self, path: str) -> bytes | mmap:
        """The bytes of a file, which need not be in memory where the file is large; it stays what it is meanwhile."""
        ...

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of a file from each start to before each end."""
        ...

    def identity(self, path: str) -> str:
        """What tells this file from every other that was or will be at its path, without reading it."""
        ...

    def identities(self, directories: Sequence[str], below: Sequence[str], name: str) -> Sequence[Iterable[str | None]]:
        """For each directory the `identity` of the file of that name in each of those below it; None where none is.

        Files may be looked at only when the next identity is asked for.
        """
        ...

    def commit(self, directory: str, files: Mapping[str, bytes], older: Callable[[], Collection[str]]) -> None:
        """Let the directory hold these files and no others of the store's; the last one makes them valid.

        Args:
            directory: Made where it isn't there.
            files: Their bytes by name.
            older: Asked by whoever can't cheaply look: the names of the files of the whole result that they replace,
                the last one among them; none where there is none.
        """
        ...

    def clear(self, directory: str, first: str) -> None:
        """Remove the store's files of the directory, the one named ``first`` before all others."""
        ...

    def find(self, directory: str, name: str) -> Iterator[tuple[str, str]]:
        """The directories at any depth below ``directory``, relative to it, that hold a file of that name.

        With each comes the file's `identity`.
        """
        ...


class LocalFiles:
    """Files of a local disk: complete under temporary names before anything old is touched, then renamed.

    Writers of one directory take turns by a lock on the directory itself, which the system drops when a writer dies.
    So a temporary file that the holder of the lock finds is nobody's any more, and is removed. Where directories can't
    be locked (Windows, NFS), only temporary files older than an hour are.

    There is no fsync: for the files of one ``ClipFeatures`` it took 33 ms on an SSD, where all the rest took 2 ms. A
    killed process loses nothing by that; after a power failure, files may differ from the manifest's digests, and every
    read finds out.
    """

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a path object a file would cost more than the call
            return file.read()

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        """The bytes of several files; None for one that isn't there."""
        found: list[bytes | None] = []
        for path in paths:
            try:
                found.append(self.read(path))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                found.append(None)
        return found

    def mapped(self, path: str) -> bytes | mmap:
        """The bytes of a file: mapped from 1 MiB on, for each map holds a file descriptor."""
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size < _MAPPED_BYTES:
                return file.read()
            return mmap(file.fileno(), 0, access=ACCESS_READ)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of a file from each start to before each end."""
        parts = []
        with Path(path).open("rb", buffering=0) as file:
            for start, end in ranges:
                file.seek(start)
                parts.append(file.read(end - start))
        return parts

    def identity(self, path: str) -> str:
        """Time of modification, size and inode: a file that takes another's place was there before that one went."""
        stat = os.stat(path)  # noqa: PTH116 - a path object a file would cost more than the call
        return f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"

    def identities(self, directories: Sequence[str], below: Sequence[str], name: str) -> Sequence[Iterable[str | None]]:
        """For each directory the `identity` of the file of that name in each of those below it; None where none is."""
        return [map(self._identity_if_any, _paths(directory, below, name)) for directory in directories]

    def _identity_if_any(self, path: str) -> str | None:
        try:
            return self.identity(path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def commit(self, directory: str, files: Mapping[str, bytes], older: Callable[[], Collection[str]]) -> None:
        """Let the directory hold these files and no others of the store's; the last one makes them valid."""
        folder = Path(directory)
        *_, last = files
        token = secrets.token_hex(8)
        temporary = {name: folder / f".{name}.{token}{TEMPORARY_SUFFIX}" for name in files}
        with _locked(folder) as is_locked:
            _remove_leftovers(folder, is_locked)
            try:
                for name, data in files.items():
                    temporary[name].write_bytes(data)
                (folder / last).unlink(missing_ok=True)
                for path in _results(folder):
                    if path.name not in files:
                        path.unlink(missing_ok=True)
                for name, path in temporary.items():
                    path.replace(folder / name)
            finally:
                for path in temporary.values():
                    path.unlink(missing_ok=True)

    def clear(self, directory: str, first: str) -> None:
        """Remove the store's files of the directory, the one named ``first`` before all others, and empty parents."""
        folder = Path(directory)
        if not folder.is_dir():
            return
        with _locked(folder) as is_locked:
            (folder / first).unlink(missing_ok=True)
            _remove_leftovers(folder, is_locked)
            for path in _results(folder):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # the first that isn't empty
                for parent in takewhile(self._root.__ne__, (folder, *folder.parents)):
                    parent.rmdir()

    def find(self, directory: str, name: str) -> Iterator[tuple[str, str]]:
        """The directories below ``directory`` that hold a file of that name, sorted, each with its identity."""
        for parent, folders, names in os.walk(directory, onerror=_raise_unless_gone):
            folders.sort()
            if name in names:
                with suppress(FileNotFoundError):  # removed since it was listed
                    identity = self.identity(f"{parent}/{name}")
                    yield parent[len(directory) + 1 :].replace(os.sep, "/"), identity


def _paths(directory: str, below: Iterable[str], name: str) -> Iterator[str]:
    return (f"{directory}/{folder}/{name}" for folder in below)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Create the folder and hold it against other processes and threads; yields whether it could be locked."""
    if sys.platform == "win32":
        folder.mkdir(parents=True, exist_ok=True)
        yield False
        return
    folder.parent.mkdir(parents=True, exist_ok=True)  # where this can't be, no further attempt will help
    for _ in range(_LOCK_ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another process cleared it between the two calls
            continue
        try:
            is_locked = _flock(descriptor, fcntl.LOCK_EX)
            if _is_folder(descriptor, folder):
                yield is_locked
                return
        finally:
            _flock(descriptor, fcntl.LOCK_UN)  # closing wouldn't, if a child was forked meanwhile
            os.close(descriptor)
    raise OSError(errno.EBUSY, "Other processes keep removing the directory", str(folder))


def _flock(descriptor: int, operation: int) -> bool:
    """Wait for the lock, or drop it; False where the file system has none for directories."""
    try:
        fcntl.flock(descriptor, operation)
    except OSError:
        return False
    return True


def _is_folder(descriptor: int, folder: Path) -> bool:
    """Whether the descriptor still is that folder, which another process may have cleared while this one waited."""
    try:
        return os.fstat(descriptor).st_ino == folder.stat().st_ino
    except FileNotFoundError:
        return False


def _remove_leftovers(folder: Path, is_locked: bool) -> None:
    """Remove the temporary files of writers that were killed."""
    newest = time.time() - _ABANDONED_SECONDS
    for path in folder.glob(f"*{TEMPORARY_SUFFIX}"):
        with suppress(FileNotFoundError):  # its writer lives, and has just renamed it
            if is_locked or path.stat().st_mtime < newest:
                path.unlink()


def _results(folder: Path) -> list[Path]:
    """The store's files in the folder, temporary ones aside."""
    return [path for path in folder.iterdir() if path.name.endswith(RESULT_SUFFIXES) and path.is_file()]


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
