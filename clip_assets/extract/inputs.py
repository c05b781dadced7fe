"""Which videos were named: paths, folders and lists of paths become one list, in order, each video once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from clip_assets.core.errors import SettingsError
from clip_assets.core.file_systems import is_url
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.listing import VIDEO_EXTENSIONS, has_video_extension, others_in_words
from clip_assets.core.library.source import VideoSource, source_at
from clip_assets.core.library.video_cache import VideoCache

_Found = tuple[str, VideoSource | None, str]
"""A video's name, and where else it is than on this machine: its source and its key there."""


@dataclass(frozen=True)
class Video:
    """A video that was named; whether it is there is not known yet.

    Attributes:
        number: Its place among all videos of the call, from 0.
        name: As it was written, or found in a folder that was.
        source: Where it is fetched from; None for a file of this machine.
        key: What it is called there.
    """

    number: int
    name: str
    source: VideoSource | None = None
    key: str = ""

    @property
    def path(self) -> Path:
        """The file; of a URL what comes after the protocol, which results are named by."""
        return Path(f"/{self.name.partition('://')[2]}") if self.source else Path(self.name)

    def local(self) -> AbstractContextManager[Path]:
        """The video as a local file, for as long as the context lasts.

        Raises:
            VideoError: It can't be fetched.
        """
        return self.source.local(self.key) if self.source else nullcontext(self.path)

    def expect(self) -> None:
        """A hint that this is the next one: fetching it may begin."""
        if self.source:
            self.source.expect(self.key)

    def fingerprint(self) -> str:
        """What tells its content apart, see `core.library.fingerprints`.

        Raises:
            VideoError: It is missing or can't be read.
        """
        return self.source.fingerprint(self.key) if self.source else fingerprint(self.path)


@dataclass(frozen=True)
class Inputs:
    """What was named.

    Attributes:
        videos: In order.
        unlisted: What folders hold and nobody can list, with the reason.
        left_out: For each folder that holds files of other endings than videos have, a line that counts them.
    """

    videos: tuple[Video, ...]
    unlisted: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...] = ()


def collect_inputs(paths: Sequence[str], list_file: Path | None, cache: VideoCache | None = None) -> Inputs:
    """The videos at these paths and URLs, below those that are folders, and named in the file.

    Args:
        paths: Videos and folders.
        list_file: UTF-8, a path a line; blank lines and lines that begin with # don't count.
        cache: Where copies of videos are kept that lie at a URL; by default where the user's others are.

    Raises:
        SettingsError: The file can't be read, or no video was named at all.
        LibraryError: A folder can't be listed.
    """
    named = [*paths, *(_read_list(list_file) if list_file else ())]
    names: dict[str, _Found] = {}
    unlisted: list[tuple[str, str]] = []
    left_out: list[str] = []
    for name in named:
        found = _video_at(name, cache)
        if found is None:
            source = source_at(name, cache)
            listing = source.listing()
            remote = None if source.is_local else source
            together = [(source.where(video.key), remote, video.key) for video in listing.videos]
            unlisted += [(source.where(item.key), item.reason) for item in listing.unlisted]
            left_out += [f"{name}: {line}" for line in [others_in_words(listing.others)] if line]
        else:
            together = [found]
        for video in together:
            where = video[0] if video[1] else os.path.abspath(video[0])  # noqa: PTH100 - resolve() would follow links
            names.setdefault(where, video)
    if not names and not unlisted:
        where = ", ".join(named) or str(list_file)
        raise SettingsError(f"No video in {where}. Videos in folders end in {', '.join(VIDEO_EXTENSIONS)}.")
    videos = tuple(Video(number, *found) for number, found in enumerate(names.values()))
    return Inputs(videos, tuple(unlisted), tuple(left_out))


def _video_at(name: str, cache: VideoCache | None) -> _Found | None:
    """The video of that name, whether it is there or not; None for a folder."""
    if not is_url(name):
        return None if Path(name).is_dir() else (name, None, "")
    parent, _, last = name.rstrip("/").rpartition("/")
    if not is_url(parent):
        return None  # a whole bucket
    source = source_at(parent, cache)
    key = source.key_for(f"{source.where()}/{last}")
    return (name, source, key) if has_video_extension(key) or not source.is_gone(key) else None


def _read_list(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise SettingsError(f"file_with_video_paths={path} can't be read: {error.strerror}.") from error
    for line in map(str.strip, text.split("\n")):
        if line and not line.startswith("#"):
            yield line
