"""Which videos were named: paths, folders and lists of paths become one list, in order, each video once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clip_assets.core.errors import SettingsError
from clip_assets.core.library.folder import Folder
from clip_assets.core.library.listing import VIDEO_EXTENSIONS, others_in_words


@dataclass(frozen=True)
class Video:
    """A video that was named; whether it is there is not known yet.

    Attributes:
        number: Its place among all videos of the call, from 0.
        name: As it was written, or found in a folder that was.
    """

    number: int
    name: str

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.name)


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


def collect_inputs(paths: Sequence[str], list_file: Path | None) -> Inputs:
    """The videos at these paths, below those that are folders, and named in the file.

    Args:
        paths: Videos and folders.
        list_file: UTF-8, a path a line; blank lines and lines that begin with # don't count.

    Raises:
        SettingsError: The file can't be read, or no video was named at all.
        LibraryError: A folder can't be listed.
    """
    named = [*paths, *(_read_list(list_file) if list_file else ())]
    names: dict[str, str] = {}
    unlisted: list[tuple[str, str]] = []
    left_out: list[str] = []
    for name in named:
        found = [name]
        if Path(name).is_dir():
            listing = Folder(Path(name)).listing()
            found = [str(Path(name) / video.key) for video in listing.videos]
            unlisted += [(str(Path(name) / item.key), item.reason) for item in listing.unlisted]
            left_out += [f"{name}: {line}" for line in [others_in_words(listing.others)] if line]
        for video in found:
            names.setdefault(os.path.abspath(video), video)  # noqa: PTH100 - resolve() would follow symbolic links
    if not names and not unlisted:
        where = ", ".join(named) or str(list_file)
        raise SettingsError(f"No video in {where}. Videos in folders end in {', '.join(VIDEO_EXTENSIONS)}.")
    videos = tuple(Video(number, name) for number, name in enumerate(names.values()))
    return Inputs(videos, tuple(unlisted), tuple(left_out))


def _read_list(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise SettingsError(f"file_with_video_paths={path} can't be read: {error.strerror}.") from error
    for line in map(str.strip, text.split("\n")):
        if line and not line.startswith("#"):
            yield line
