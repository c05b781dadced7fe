"""Videos below a URL, in whatever fsspec reaches: listed together, read by ranges, copied to be decoded."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, unquote

from clip_assets.core.digests import digest
from clip_assets.core.errors import (
    ClipAssetsError,
    LibraryUnreadableError,
    OutsideLibraryError,
    PartitionKeyError,
    VideoChangedError,
    VideoError,
    VideoMissingError,
    VideoNotFetchedError,
)
from clip_assets.core.file_systems import file_system, reached, version_of
from clip_assets.core.library.fingerprints import FINGERPRINT_BYTES, digest_of_parts, fingerprint, parts_that_tell
from clip_assets.core.library.keys import validate_key
from clip_assets.core.library.listing import Listing, Unlisted, VideoFile, has_video_extension
from clip_assets.core.library.signatures import Signature, signature_of
from clip_assets.core.library.video_cache import VideoCache
from clip_assets.core.records import SourceStat

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

PART_BYTES = 8 * 2**20
"""Bytes of one request of a download."""

PARTS_AT_ONCE = 4

WORTH_FETCHING = 64 * 2**20
"""Bytes up to which a video that will be read is fetched for its fingerprint: of longer ones that takes a while, in
which another could be decoded, and reading its ``FINGERPRINT_BYTES`` twice is next to nothing."""

LISTED_FROM = 64
"""Videos from which on everything is listed rather than each one asked for."""

_ASKED_AT_ONCE = 16


class RemoteFolder:
    """The videos in and below a URL: a `VideoSource`.

    Attributes:
        root: The URL, without a slash at its end.
        is_local: False.
    """

    is_local: ClassVar[bool] = False

    def __init__(self, root: str, cache: VideoCache) -> None:
        self.root = root.rstrip("/")
        self._cache = cache
        self._fetching = threading.Lock()

    def where(self, key: str = "") -> str:
        """The URL of a video; by default the folder's."""
        return f"{self.root}/{self._quoted(key)}" if key else self.root

    def listing(self, named: Collection[str] = ()) -> Listing:
        """Every object in and below the URL with a video's extension.

        What is hidden (``.name``), or below what is, is skipped; objects of other endings are counted in ``others``;
        names that can't be keys are in ``unlisted``.

        Args:
            named: Keys of objects that are videos whatever their ending.

        Raises:
            LibraryUnreadableError: The store can't be reached or doesn't allow it, or there is no such folder.
        """
        videos: list[VideoFile] = []
        unlisted: list[Unlisted] = []
        others: Counter[str] = Counter()
        for key, info in self._found().items():
            if any(part.startswith(".") for part in key.split("/")):
                continue
            if not has_video_extension(key) and key not in named:
                others[PurePosixPath(key).suffix.lower()] += 1
                continue
            try:
                validate_key(key)
                stat = _stat(info)
            except ClipAssetsError as error:
                unlisted.append(Unlisted(key, str(error)))
            else:
                videos.append(VideoFile(key, stat.size, stat.mtime_ns, stat.etag))
        return Listing(
            tuple(sorted(videos, key=lambda video: video.key)),
            tuple(sorted(unlisted, key=lambda item: item.key)),
            dict(others.most_common()),
        )

    def check_listable(self) -> None:
        """Refuse a folder about whose videos nothing can be told.

        Raises:
            LibraryUnreadableError: As `listing`.
        """
        with self._reached(LibraryUnreadableError, self.root):
            self._filesystem.info(self._path)

    def key_for(self, path: str | Path) -> str:
        """The partition key of the video at a URL, which needn't exist.

        Raises:
            OutsideLibraryError: It isn't below this one.
            PartitionKeyError: Its relative path can't be a key.
        """
        key = str(path).removeprefix(f"{self.root}/")
        if key == str(path):
            raise OutsideLibraryError(f"{path} is not in the library {self.root}.")
        key = self._unquoted(key)
        validate_key(key)
        return key

    @contextmanager
    def local(self, key: str, seen: SourceStat | None = None) -> Iterator[Path]:
        """A copy of the video on this machine, downloaded where there is none; it stays as long as the context lasts.

        Args:
            key: The partition key.
            seen: What `stat` said; the store isn't asked where there is a copy of that.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
            VideoMissingError: There is no such video.
            VideoChangedError: It was replaced while it was downloaded, or since it was ``seen``.
            VideoNotFetchedError: It can't be downloaded, or there is no room for it.
        """
        stat = seen or self.stat(key)
        with self._cache.held(self._name(key, stat), stat.size, lambda file: self._download(key, stat, file)) as path:
            try:
                yield path
            except VideoError as error:  # whoever read the copy names it
                told = str(error).replace(str(path), self.where(key))
                raise error if told == str(error) else type(error)(told) from error

    def expect(self, key: str, seen: SourceStat | None = None) -> None:
        """Begin to download the video, if there is room and nothing else is being downloaded in advance."""
        if self._fetching.acquire(blocking=False):
            threading.Thread(target=self._fetch, args=(key, seen), name="fetch", daemon=True).start()

    def fingerprint(self, key: str, seen: SourceStat | None = None, *, will_be_read: bool = False) -> str:
        """What tells the video's content apart, see `core.library.fingerprints`.

        It is remembered for as long as size and ETag stay.

        Args:
            key: The partition key.
            seen: What `stat` said.
            will_be_read: Whether the whole video is about to be read.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
            VideoError: The video is missing, can't be read, or was replaced meanwhile.
        """
        stat = seen or self.stat(key)
        validate_key(key)
        name = self._name(key, stat)
        found = self._cache.fingerprint(name) if stat.etag else None
        if found is None:
            worth_fetching = WORTH_FETCHING if will_be_read else FINGERPRINT_BYTES
            if stat.size <= worth_fetching or self._cache.holds(name):
                with self.local(key, stat) as path:
                    found = fingerprint(path)
            else:
                parts = parts_that_tell(stat.size)
                found = digest_of_parts(stat.size, self._parts(key, parts))
                self._check_unchanged(key, stat, "read")
            self._cache.note_fingerprint(name, found)
        return found

    def stat(self, key: str) -> SourceStat:
        """The video's size and ETag, or time of modification where the store tells no ETag.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
            VideoMissingError: There is no such video.
            VideoNotFetchedError: The store can't be asked.
        """
        validate_key(key)
        with self._reached(VideoNotFetchedError, self.where(key)):
            info = self._filesystem.info(self._path_of(key))
        if info.get("type") == "directory":
            raise VideoMissingError(f"{self.where(key)} can't be read: it is a folder, not a file")
        return _stat(info)

    def signatures(self, keys: Collection[str]) -> dict[str, Signature | None]:
        """What other videos of these keys would alter, asked for at once, or listed where there are many."""
        if len(keys) >= LISTED_FROM:
            with suppress(LibraryUnreadableError):
                found = self._found()
                return {key: signature_of(_stat(found[key])) if key in found else None for key in keys}
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
            return dict(zip(keys, threads.map(self._signature, keys), strict=True))

    def is_gone(self, key: str) -> bool:
        """Whether there is no video of that key, as far as the store can be asked."""
        try:
            self.stat(key)
        except VideoMissingError:
            with suppress(LibraryUnreadableError):
                self.check_listable()  # else the bucket is what is missing
                return True
        except ClipAssetsError:
            return False
        return False

    def read(self, key: str, start: int, end: int) -> bytes:
        """The video's bytes from ``start`` to before ``end``.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
            VideoError: The video is missing or can't be read.
        """
        validate_key(key)
        (part,) = self._parts(key, [(start, end)])
        return part

    @cached_property
    def _filesystem(self) -> AbstractFileSystem:
        return file_system(self.root, use_listings_cache=False)

    @cached_property
    def _path(self) -> str:
        path: str = self._filesystem._strip_protocol(self.root)
        return path.rstrip("/")

    @property
    def _is_http(self) -> bool:
        return self.root.startswith(("http://", "https://"))

    def _path_of(self, key: str) -> str:
        return f"{self._path}/{self._quoted(key)}"

    def _quoted(self, key: str) -> str:
        return quote(key) if self._is_http else key

    def _unquoted(self, key: str) -> str:
        return unquote(key) if self._is_http else key

    def _name(self, key: str, stat: SourceStat) -> str:
        """The name of the copy of what is there now; it ends as the video's does, which some formats are told by."""
        told = digest({"video": self.where(key), "size": stat.size, "mtime_ns": stat.mtime_ns, "etag": stat.etag})
        return told + PurePosixPath(key).suffix.lower()

    def _found(self) -> dict[str, Mapping[str, Any]]:
        """What the store says of each object below the URL, by key."""
        with self._reached(LibraryUnreadableError, self.root):
            found = self._filesystem.find(self._path, detail=True)
            if not found:
                self._filesystem.info(self._path)  # `find` takes what isn't there for an empty folder
            keys = {path: self._unquoted(path[len(self._path) + 1 :]) for path in found}
            lacking = [path for path, info in found.items() if info.get("size") is None and has_video_extension(path)]
            with ThreadPoolExecutor(_ASKED_AT_ONCE) as threads:
                told = dict(zip(lacking, threads.map(self._filesystem.info, lacking), strict=True))
        return {key: told.get(path, found[path]) for path, key in keys.items() if key}

    def _signature(self, key: str) -> Signature | None:
        try:
            return signature_of(self.stat(key))
        except (VideoError, PartitionKeyError):
            return None

    def _fetch(self, key: str, seen: SourceStat | None) -> None:
        """Download a video whose turn comes later; whoever needs it finds out what is wrong with it."""
        try:
            with suppress(ClipAssetsError):
                stat = seen or self.stat(key)
                if self._cache.has_room(stat.size):
                    with self.local(key, stat):
                        pass
        finally:
            self._fetching.release()

    def _download(self, key: str, stat: SourceStat, file: int) -> None:
        """Write the video into an open file, by several ranged requests at once."""
        parts = [(start, min(start + PART_BYTES, stat.size)) for start in range(0, stat.size, PART_BYTES)]
        for first in range(0, len(parts), PARTS_AT_ONCE):
            together = parts[first : first + PARTS_AT_ONCE]
            for (start, _), data in zip(together, self._parts(key, together), strict=True):
                os.pwrite(file, data, start)
        self._check_unchanged(key, stat, "downloaded")

    def _parts(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """The video's bytes in these ranges, asked for at once.

        Raises:
            VideoChangedError: There are fewer than its size said.
            VideoError: The video is missing or can't be read.
        """
        starts, ends = [start for start, _ in ranges], [end for _, end in ranges]
        with self._reached(VideoNotFetchedError, self.where(key)):
            parts: list[bytes] = self._filesystem.cat_ranges([self._path_of(key)] * len(ranges), starts, ends)
        return [self._checked(key, data, *asked) for data, asked in zip(parts, ranges, strict=True)]

    def _checked(self, key: str, data: bytes, start: int, end: int) -> bytes:
        if len(data) > end - start and len(data) >= end:
            return data[start:end]  # a server that knows no ranges sends all
        if len(data) != end - start:
            raise VideoChangedError(f"{self.where(key)} changed while it was read.")
        return data

    def _check_unchanged(self, key: str, stat: SourceStat, done: str) -> None:
        if self.stat(key) != stat:
            raise VideoChangedError(f"{self.where(key)} changed while it was {done}.")

    @contextmanager
    def _reached(self, kind: type[ClipAssetsError], what: str) -> Iterator[None]:
        """Let what a file system raises be an error of that kind, and a lacking video a missing one."""
        try:
            with reached():
                yield
        except FileNotFoundError as error:
            missing = kind if kind is LibraryUnreadableError else VideoMissingError
            empty = "; a bucket's folder is there once a video lies in it" if missing is LibraryUnreadableError else ""
            raise missing(f"{what} can't be read: there is nothing of that name{empty}") from error
        except OSError as error:
            raise kind(f"{what} can't be read: {str(error) or type(error).__name__}") from error


def _stat(info: Mapping[str, Any]) -> SourceStat:
    """Size and ETag, or time, by an fsspec file system's description of an object.

    Raises:
        VideoNotFetchedError: The server doesn't tell the size.
    """
    if info.get("size") is None:
        raise VideoNotFetchedError(f"{info.get('name', 'the server')}: its size isn't told")
    etag, changed_ns = version_of(info)
    return SourceStat(int(info["size"]), changed_ns, etag)
