"""Directories of files in an object store, or wherever else fsspec reaches: few requests, and many at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from clip_assets.core.file_systems import has_buckets, reached, version_of
from clip_assets.core.store.files import RESULT_SUFFIXES, Files

if TYPE_CHECKING:
    from mmap import mmap

    from fsspec import AbstractFileSystem


class RemoteFiles:
    """Files of an fsspec file system, where writing one file is atomic and nothing can be locked.

    Two writers of one directory at the same time can leave files of both; the digests in the manifest tell.
    """

    def __init__(self, filesystem: AbstractFileSystem) -> None:
        self._filesystem = filesystem

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        with reached():
            data: bytes = self._filesystem.cat_file(path, start=0)  # without a start some ask for the size first
        return data

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        """The bytes of several files, asked for at once; None for one that isn't there."""
        count = len(paths)
        with reached():
            found: list[Any] = self._filesystem.cat_ranges(list(paths), [0] * count, [None] * count, on_error="return")
            for data in found:
                if isinstance(data, Exception) and not isinstance(data, FileNotFoundError):
                    raise data
        return [None if isinstance(data, Exception) else data for data in found]

    def mapped(self, path: str) -> bytes | mmap:
        """The bytes of a file."""
        return self.read(path)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of a file from each start to before each end."""
        starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
        with reached():
            parts: list[bytes] = self._filesystem.cat_ranges([path] * len(ranges), starts, ends, on_error="raise")
        return parts

    def identity(self, path: str) -> str:
        """What the object store says of the file: its ETag or digest, its times, its size."""
        self._filesystem.invalidate_cache(path.rpartition("/")[0])
        with reached():
            return _told_of(self._filesystem.info(path))

    def identities(self, directories: Sequence[str], below: Sequence[str], name: str) -> Sequence[Iterable[str | None]]:
        """For each directory the `identity` of the file of that name in each of those below it; None where none is."""

        def of(directory: str) -> list[str | None]:
            found = dict(self.find(directory, name))
            return [found.get(folder) for folder in below]

        with ThreadPoolExecutor(len(directories)) as threads:  # a listing is many requests, one after the other
            return list(threads.map(of, directories))

    def commit(self, directory: str, files: Mapping[str, bytes], older: Callable[[], Collection[str]]) -> None:
        """Let the directory hold these files and no others of the result before; the last one makes them valid.

        What a writer that was killed left stays, unless it has the same name: no manifest tells of it.
        """
        *_, last = files
        paths = {f"{directory}/{name}": data for name, data in files.items()}
        manifest = paths.pop(f"{directory}/{last}")
        before = older()
        if last in before:
            self._remove(f"{directory}/{last}")
        for name in set(before) - set(files):
            self._remove(f"{directory}/{name}")
        with reached():
            try:
                self._filesystem.pipe(paths)
            except FileNotFoundError:
                if has_buckets(self._filesystem):
                    raise  # there is no such bucket, and nobody asked for one
                self._filesystem.makedirs(directory, exist_ok=True)
                self._filesystem.pipe(paths)
            self._filesystem.pipe_file(f"{directory}/{last}", manifest)

    def clear(self, directory: str, first: str) -> None:
        """Remove the store's files of the directory, the one named ``first`` before all others."""
        self._remove(f"{directory}/{first}")
        for name in self._own_files(directory):
            self._remove(f"{directory}/{name}")

    def find(self, directory: str, name: str) -> Iterator[tuple[str, str]]:
        """The directories below ``directory`` that hold a file of that name, sorted, each with its identity."""
        self._filesystem.invalidate_cache(directory)
        with reached():
            found = self._filesystem.find(directory, detail=True)
        for path, info in sorted(found.items()):
            if path.endswith(f"/{name}"):
                yield path[len(directory) + 1 : -len(name) - 1], _told_of(info)

    def _own_files(self, directory: str) -> set[str]:
        self._filesystem.invalidate_cache(directory)
        try:
            with reached():
                entries = self._filesystem.ls(directory, detail=True)
        except FileNotFoundError:
            return set()
        names = {entry["name"].rsplit("/", 1)[-1] for entry in entries if entry["type"] == "file"}
        return {name for name in names if name.endswith(RESULT_SUFFIXES)}

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError), reached():
            self._filesystem.rm_file(path)  # rm would take brackets in a name for a pattern


class RememberedFiles:
    """Files of which nothing that was read or written once is asked for again, as long as it fits.

    For whoever alone changes them meanwhile, as a run does with the results of its videos; safe to use from several
    threads.

    Args:
        files: The files.
        limit: Bytes that are remembered at most; what wasn't used for the longest time goes first.
    """

    def __init__(self, files: Files, limit: int) -> None:
        self._files = files
        self._limit = limit
        self._known: OrderedDict[str, bytes | None] = OrderedDict()  # None: there is no such file
        self._size = 0
        self._lock = Lock()

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        (data,) = self.read_all([path])
        if data is None:
            raise FileNotFoundError(path)
        return data

    def read_all(self, paths: Sequence[str]) -> list[bytes | None]:
        """The bytes of several files; None for one that isn't there."""
        with self._lock:
            found = {path: self._known[path] for path in paths if path in self._known}
            for path in found:
                self._known.move_to_end(path)
        missing = [path for path in paths if path not in found]
        if missing:
            read = dict(zip(missing, self._files.read_all(missing), strict=True))
            self._remember(read)
            found |= read
        return [found[path] for path in paths]

    def mapped(self, path: str) -> bytes | mmap:
        """The bytes of a file."""
        return self.read(path)

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes of a file from each start to before each end; not remembered."""
        return self._files.read_ranges(path, ranges)

    def identity(self, path: str) -> str:
        """What tells this file from every other, asked for anew."""
        return self._files.identity(path)

    def identities(self, directories: Sequence[str], below: Sequence[str], name: str) -> Sequence[Iterable[str | None]]:
        """For each directory the `identity` of the file of that name in each of those below it, listed anew."""
        return self._files.identities(directories, below, name)

    def commit(self, directory: str, files: Mapping[str, bytes], older: Callable[[], Collection[str]]) -> None:
        """Let the directory hold these files and no others of the store's; the last one makes them valid."""
        before = older()
        self._forget(directory)
        self._files.commit(directory, files, lambda: before)
        self._remember({f"{directory}/{name}": data for name, data in files.items()})

    def clear(self, directory: str, first: str) -> None:
        """Remove the store's files of the directory, the one named ``first`` before all others."""
        self._forget(directory)
        self._files.clear(directory, first)

    def find(self, directory: str, name: str) -> Iterator[tuple[str, str]]:
        """The directories below ``directory`` that hold a file of that name, listed anew."""
        return self._files.find(directory, name)

    def _remember(self, files: Mapping[str, bytes | None]) -> None:
        with self._lock:
            for path, data in files.items():
                self._drop(path)
                self._known[path] = data
                self._size += len(data or b"")
            while self._size > self._limit:
                self._drop(next(iter(self._known)))

    def _forget(self, directory: str) -> None:
        with self._lock:
            for path in [path for path in self._known if path.rpartition("/")[0] == directory]:
                self._drop(path)

    def _drop(self, path: str) -> None:
        if path in self._known:
            self._size -= len(self._known.pop(path) or b"")


def _told_of(info: Mapping[str, Any]) -> str:
    """A file's size and, by its description by an fsspec file system, its content's digest or else its time."""
    etag, changed_ns = version_of(info)
    return f"{etag or changed_ns}-{info['size']}"
