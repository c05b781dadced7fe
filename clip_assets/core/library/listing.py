"""The folder of videos: what is in it, which partition key names which file, and what tells two contents apart.

A partition key is a video's path relative to the library's root, with forward slashes and the extension, in exactly
the characters that the file system gives (``sports/lifting.mp4``). Nothing is escaped or normalised, so key and file
name each other.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from clip_assets.core.errors import LibraryUnreadableError, OutsideLibraryError, PartitionKeyError, VideoUnreadableError
from clip_assets.core.library.regular_files import check_is_file, why_no_file

VIDEO_EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mj2"),
    *(".mkv", ".mk3d", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".ogv", ".ogm"),
    *(".mpg", ".mpeg", ".mpe", ".vob", ".m2p", ".ts", ".m2ts", ".mts", ".m2t"),
    *(".mxf", ".dv", ".nut", ".rm", ".rmvb", ".y4m", ".ivf", ".gif"),
    *(".m1v", ".m2v", ".mpv", ".264", ".h264", ".avc", ".265", ".h265", ".hevc", ".obu"),
)
"""Extensions of the files that a library lists, in lower case; any case is accepted. The last row's are streams
without a container."""

MAX_KEY_BYTES = 2000
"""Longest partition key, in UTF-8: an index row of PostgreSQL, in which Dagster may keep it, holds 2704 bytes."""

MAX_PART_BYTES = 255
"""Longest part of a partition key, in UTF-8: what Linux's file systems allow, so that a key can move there."""

FINGERPRINT_BYTES = 4 * 2**20
"""Most bytes of a file that its fingerprint reads; a smaller file is read whole."""

_FINGERPRINT_CHUNKS = 16
_NAMED_ENDINGS = 8
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNDECODABLE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video of the library.

    Attributes:
        root: The library's root, as it was given.
        key: Its partition key.
        size: Bytes.
        mtime_ns: Time of the last modification, nanoseconds since 1970.
    """

    root: Path
    key: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> Path:
        """The file."""
        return self.root / self.key


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Something of the library that couldn't be listed, so that nothing is known of it or of what lies below it.

    Attributes:
        key: Its path relative to the root, with forward slashes; may hold what no partition key may.
        reason: Why, for a person.
    """

    key: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What a walk through the library found.

    Attributes:
        videos: Sorted by key.
        unlisted: Sorted by key. A key that is missing from ``videos`` is gone only if neither it nor a folder above it
            is here.
        others: Number of files that were left out for their ending, by that ending in lower case, the most frequent
            first; "" stands for none.
    """

    videos: tuple[VideoFile, ...]
    unlisted: tuple[Unlisted, ...]
    others: Mapping[str, int] = field(default_factory=dict)


_Folder = tuple[str, list["os.DirEntry[str]"], tuple[tuple[int, int], ...]]
"""A folder to walk through: its key with a slash, its entries, the identities of it and of those above it."""


def list_videos(root: Path, named: Collection[str] = ()) -> Listing:
    """Walk through the library: every file below ``root`` with a video's extension.

    Hidden files and folders (``.name``) are skipped; files of other endings are counted in ``others``, among them
    downloads under way (``.part``, ``.crdownload``, ``.tmp``) and backups (``name~``). Linked folders are followed,
    save into a folder that contains the link. Folders that can't be read, links to nothing, pipes, sockets and devices
    with a video's name, and names that can't be keys are in ``unlisted``.

    Args:
        root: The library.
        named: Keys of files that are videos whatever their ending.

    Raises:
        LibraryUnreadableError: ``root`` is missing, no folder, or can't be read.
    """
    videos: list[VideoFile] = []
    unlisted: list[Unlisted] = []
    others: Counter[str] = Counter()
    pending: list[_Folder] = [("", _scan_root(root), (_identity(root),))]
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
                elif reason := why_no_file(Path(entry.path)):
                    unlisted.append(Unlisted(key, reason))
                else:
                    validate_key(key)
                    stat = entry.stat()
                    videos.append(VideoFile(root, key, stat.st_size, stat.st_mtime_ns))
            except OSError as error:
                unlisted.append(Unlisted(key, error.strerror or str(error)))
            except PartitionKeyError as error:
                unlisted.append(Unlisted(key, str(error)))
    return Listing(tuple(sorted(videos, key=_key)), tuple(sorted(unlisted, key=_key)), dict(others.most_common()))


def check_listable(root: Path) -> None:
    """Refuse a library about whose videos nothing can be told.

    Raises:
        LibraryUnreadableError: ``root`` is missing, no folder, or can't be read.
    """
    _scan_root(root)


def has_video_extension(name: str) -> bool:
    """Whether a file's name ends as a video's does."""
    return name.lower().endswith(VIDEO_EXTENSIONS)


def others_in_words(others: Mapping[str, int]) -> str:
    """One line on the files that were left out for their ending (``Listing.others``); empty if there are none."""
    count = sum(others.values())
    if not count:
        return ""
    told = [f"{ending or 'none'} {number}" for ending, number in list(others.items())[:_NAMED_ENDINGS]]
    rest = [f"and {len(others) - len(told)} other endings"] if len(others) > len(told) else []
    return f"{count} {'file' if count == 1 else 'files'} left out for {'its' if count == 1 else 'their'} ending: " + (
        ", ".join(told + rest)
    )


def validate_key(key: str) -> None:
    """Refuse what can't be a partition key.

    Refused are the empty key, absolute ones, empty, ``.`` and ``..`` parts (so that no key leaves the root), control
    characters and line breaks (which the UI doesn't show and logs can't hold), bytes that are no UTF-8 (which no
    database stores), more than ``MAX_KEY_BYTES``, parts of more than ``MAX_PART_BYTES``, and, where it separates
    folders, the backslash. All else is allowed. Even ``...``, ``,`` and ``[``, with which Dagster's UI writes
    selections: it quotes keys that hold them, and ``--partition`` takes a key as it is; only ``--partition-range``
    can't name a key with ``...``.

    Raises:
        PartitionKeyError: The key is refused; the message says why.
    """
    reason = _refusal(key)
    if reason:
        raise PartitionKeyError(
            f"{key[:300]!r} can't be a partition key: {reason}. A key is a video's path relative to the library, like "
            "sports/lifting.mp4. Rename the file or its folder."
        )


def key_for(root: Path, path: Path) -> str:
    """The partition key of the video at ``path``, which needn't exist.

    The way to a file through a linked folder of the library is kept; a path that leads into the library by a link
    from elsewhere, or with ``..``, is resolved.

    Raises:
        OutsideLibraryError: ``path`` isn't below ``root``.
        PartitionKeyError: Its relative path can't be a key.
    """
    relative = _relative_to(path.absolute(), root.absolute()) or _relative_to(path.resolve(), root.resolve())
    if relative is None:
        raise OutsideLibraryError(f"{path.absolute()} is not in the library {root.absolute()}.")
    key = relative.as_posix()
    validate_key(key)
    return key


def path_for(root: Path, key: str) -> Path:
    """The file that ``key`` names, which needn't exist: always below ``root``.

    Links inside the library are followed wherever they lead: whoever may write to the library chose to link a folder
    there, as to a larger disk, while a key alone makes no link.

    Raises:
        PartitionKeyError: ``key`` is no partition key.
    """
    validate_key(key)
    path = root / key
    if not path.is_relative_to(root):  # a Windows drive, as in C:lifting.mp4
        raise PartitionKeyError(f"{key!r} names a file outside of the library {root.absolute()}. Use a relative path.")
    return path


def is_under(key: str, folder: str) -> bool:
    """Whether a key lies in a folder (or is it); every key lies in the empty one."""
    folder = folder.strip("/")
    return not folder or key == folder or key.startswith(f"{folder}/")


def is_gone(root: Path, key: str) -> bool:
    """Whether there is no file of that key, as far as folders can be read: one that can't be says nothing."""
    folder = root
    for part in key.split("/"):
        try:
            (folder / part).lstat()
        except FileNotFoundError:
            return folder.is_dir()
        except OSError:
            return False
        folder /= part
    return False


def file_signature(root: Path, key: str) -> tuple[int, int, int] | None:
    """What another file of that key, or a change of its content or rights, would alter; None where none can be had.

    Returns:
        Size in bytes, time of the last modification and of the last change of its rights or place, in nanoseconds.
    """
    try:
        stat = path_for(root, key).stat()
    except (OSError, PartitionKeyError):
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def fingerprint(path: Path) -> str:
    """What tells a file's content apart, read in milliseconds: 64 hexadecimal digits.

    SHA-256 over the size (8 bytes, big-endian) and the content: all of it up to ``FINGERPRINT_BYTES``, else 16 chunks
    of 256 KiB, evenly spaced, the first at the start and the last at the end of the file. It misses a change that
    keeps the size and all of those chunks; of a file of 1 GiB they are 1/256. Name and times don't count.

    Raises:
        VideoUnreadableError: The file is missing, is no file (a pipe, a device), or can't be read.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(size.to_bytes(8, "big"))
            if size <= FINGERPRINT_BYTES:
                digest.update(file.read())
            else:
                chunk = FINGERPRINT_BYTES // _FINGERPRINT_CHUNKS
                for i in range(_FINGERPRINT_CHUNKS):
                    file.seek(i * (size - chunk) // (_FINGERPRINT_CHUNKS - 1))
                    digest.update(file.read(chunk))
    except OSError as error:
        raise VideoUnreadableError(f"{path.absolute()} can't be read: {error.strerror}.") from error
    return digest.hexdigest()


def _scan(folder: Path | str) -> list[os.DirEntry[str]]:
    """The entries of ``folder`` that aren't hidden."""
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def _scan_root(root: Path) -> list[os.DirEntry[str]]:
    try:
        return _scan(root)
    except OSError as error:
        raise LibraryUnreadableError(
            f"The folder of videos {root.absolute()} can't be listed: {error.strerror}. It has to be a folder that "
            "this user may read."
        ) from error


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


def _refusal(key: str) -> str:
    """Why ``key`` can't be a partition key; empty if it can."""
    unprintable = _UNPRINTABLE.search(key)
    if unprintable:
        return f"it holds a control character or line break, {unprintable[0]!r}"
    if _UNDECODABLE.search(key):
        return "it holds bytes that are no UTF-8"
    if os.sep != "/" and os.sep in key:
        return f"it holds {os.sep}, which separates folders here; write / instead"
    if key.startswith("/"):
        return "it is absolute"
    parts = key.split("/")
    if {"", ".", ".."} & set(parts):
        return "it is empty, or one of its parts is, or is '.' or '..'"
    lengths = [len(part.encode()) for part in parts]
    if max(lengths) > MAX_PART_BYTES:
        return f"one of its parts has {max(lengths)} bytes in UTF-8, and at most {MAX_PART_BYTES} are allowed"
    if sum(lengths) + len(lengths) - 1 > MAX_KEY_BYTES:
        return f"it has {len(key.encode())} bytes in UTF-8, and at most {MAX_KEY_BYTES} are allowed"
    return ""
