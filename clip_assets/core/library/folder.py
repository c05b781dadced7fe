"""A folder as a source of videos: links, hidden files, and all that a file system may hold beside videos."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from clip_assets.core.errors import LibraryUnreadableError, OutsideLibraryError, PartitionKeyError, VideoUnreadableError
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.keys import validate_key
from clip_assets.core.library.listing import Listing, Unlisted, VideoFile, has_video_extension
from clip_assets.core.library.regular_files import check_is_file, why_no_file
from clip_assets.core.library.signatures import Signature
from clip_assets.core.records import SourceStat

_Pending = tuple[str, list["os.DirEntry[str]"], tuple[tuple[int, int], ...]]
"""A folder to walk through: its key with a slash, its entries, the identities of it and of those above it."""


@dataclass(frozen=True)
class Folder:
    """The videos in and below a folder: a `VideoSource`.

    Attributes:
        root: The folder.
        is_local: True.
    """

    root: Path
    is_local: ClassVar[bool] = True

    def where(self, key: str = "") -> str:
        """The path of a video; by default the folder's."""
        return str(self.root / key)

    def listing(self, named: Collection[str] = ()) -> Listing:
        """Walk through the folder: every file in and below it with a video's extension.

        Hidden files and folders (``.name``) are skipped; files of other endings are counted in ``others``, among them
        downloads under way (``.part``, ``.crdownload``, ``.tmp``) and backups (``name~``). Linked folders are
        followed, save into a folder that contains the link. Folders that can't be read, links to nothing, pipes,
        sockets and devices with a video's name, and names that can't be keys are in ``unlisted``.

        Args:
            named: Keys of files that are videos whatever their ending.

        Raises:
            LibraryUnreadableError: The folder is missing, none, or can't be read.
        """
        videos: list[VideoFile] = []
        unlisted: list[Unlisted] = []
        others: Counter[str] = Counter()
        pending: list[_Pending] = [("", self._scan(), (_identity(self.root),))]
        while pending:
            prefix, entries, ancestors = pending.pop()
            for entry in entries:
                key = prefix + entry.name
                try:
                    if entry.is_dir():
                        identity = _identity(Path(entry.path))
                        if identity not in ancestors:
                            pending.append((f"{key}/", _scan(entry.path), (*ancestors, identity)))
                    elif not has_video_extension(entry.name) and key not in named:
                        if entry.is_file():
                            others[PurePosixPath(entry.name).suffix.lower()] += 1
                        elif entry.is_symlink():
                            unlisted.append(Unlisted(key, why_no_file(Path(entry.path))))
                    elif not entry.is_file() and (reason := why_no_file(Path(entry.path))):
                        unlisted.append(Unlisted(key, reason))
                    else:
                        validate_key(key)
                        stat = entry.stat()
                        videos.append(VideoFile(key, stat.st_size, stat.st_mtime_ns, ctime_ns=stat.st_ctime_ns))
                except OSError as error:
                    unlisted.append(Unlisted(key, error.strerror or str(error)))
                except PartitionKeyError as error:
                    unlisted.append(Unlisted(key, str(error)))
        return Listing(tuple(sorted(videos, key=_key)), tuple(sorted(unlisted, key=_key)), dict(others.most_common()))

    def check_listable(self) -> None:
        """Refuse a folder about whose videos nothing can be told.

        Raises:
            LibraryUnreadableError: As `listing`.
        """
        self._scan()

    def key_for(self, path: str | Path) -> str:
        """The partition key of the video at ``path``, which needn't exist.

        The way to a file through a linked folder of the library is kept; a path that leads into the library by a link
        from elsewhere, or with ``..``, is resolved.

        Raises:
            OutsideLibraryError: ``path`` isn't below the folder.
            PartitionKeyError: Its relative path can't be a key.
        """
        root = self.root.absolute()
        path = Path(path)
        relative = _relative_to(path.absolute(), root) or _relative_to(path.resolve(), root.resolve())
        if relative is None:
            raise OutsideLibraryError(f"{path.absolute()} is not in the library {root}.")
        key = relative.as_posix()
        validate_key(key)
        return key

    def local(self, key: str, seen: SourceStat | None = None) -> AbstractContextManager[Path]:
        """The file, as `path` has it."""
        return nullcontext(self.path(key))

    def expect(self, key: str, seen: SourceStat | None = None) -> None:
        """Nothing: a file is there."""

    def path(self, key: str) -> Path:
        """The file that ``key`` names, which needn't exist: always below the folder.

        Links inside the library are followed wherever they lead: whoever may write to the library chose to link a
        folder there, as to a larger disk, while a key alone makes no link.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
        """
        validate_key(key)
        if os.path.splitdrive(key)[0]:  # on Windows, as in C:lifting.mp4
            raise PartitionKeyError(
                f"{key!r} names a file outside of the library {self.root.absolute()}. Use a relative path."
            )
        return self.root / key

    def fingerprint(self, key: str, seen: SourceStat | None = None, *, will_be_read: bool = False) -> str:
        """What tells the file's content apart, see `core.library.fingerprints`.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
            VideoUnreadableError: The file is missing, is no file (a pipe, a device), or can't be read.
        """
        return fingerprint(self.path(key))

    def stat(self, key: str) -> SourceStat:
        """The file's size and time of modification.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
            VideoUnreadableError: The file is missing, or can't be asked.
        """
        path = self.path(key)
        try:
            stat = path.stat()
        except OSError as error:
            raise VideoUnreadableError(f"{path.absolute()} can't be read: {error.strerror}.") from error
        return SourceStat(stat.st_size, stat.st_mtime_ns)

    def signatures(self, keys: Collection[str]) -> dict[str, Signature | None]:
        """What other files of these keys, or a change of content or rights, would alter; None for lacking ones."""
        return {key: self._signature(key) for key in keys}

    def read(self, key: str, start: int, end: int) -> bytes:
        """The file's bytes from ``start`` to before ``end``.

        Raises:
            PartitionKeyError: ``key`` is no partition key.
            VideoUnreadableError: The file can't be read.
        """
        path = self.path(key)
        check_is_file(path)
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(end - start)
        except OSError as error:
            raise VideoUnreadableError(f"{path.absolute()} can't be read: {error.strerror}.") from error

    def _signature(self, key: str) -> Signature | None:
        try:
            validate_key(key)
            stat = os.stat(f"{self.root}/{key}")  # noqa: PTH116 - a path object a file would cost more than the call
        except (OSError, PartitionKeyError):
            return None
        return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    def is_gone(self, key: str) -> bool:
        """Whether there is no file of that key, as far as folders can be read: one that can't be says nothing."""
        folder = self.root
        for part in key.split("/"):
            try:
                (folder / part).lstat()
            except FileNotFoundError:
                return folder.is_dir()
            except OSError:
                return False
            folder /= part
        return False

    def _scan(self) -> list[os.DirEntry[str]]:
        try:
            return _scan(self.root)
        except OSError as error:
            raise LibraryUnreadableError(
                f"The folder of videos {self.root.absolute()} can't be listed: {error.strerror}. It has to be a folder "
                "that this user may read."
            ) from error


def _scan(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of ``folder`` that aren't hidden."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def _identity(folder: Path) -> tuple[int, int]:
    """Tells folders apart whatever their paths: device and inode, which on Windows an ``os.DirEntry`` doesn't know."""
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _key(item: VideoFile | Unlisted) -> str:
    return item.key


def _relative_to(path: Path, root: Path) -> Path | None:
    """``path`` relative to ``root``; None where it isn't below, or only by way of ``..``."""
    if not path.is_relative_to(root) or path == root:
        return None
    relative = path.relative_to(root)
    return None if ".." in relative.parts else relative
