"""Whether there is a file to read at a path: what is no file, such as a pipe, may keep its reader waiting for ever."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from clip_assets.core.errors import VideoMissingError, VideoUnreadableError

KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFIFO: "it is a named pipe",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFCHR: "it is a device",
    stat.S_IFBLK: "it is a device",
}


def check_is_file(path: Path) -> None:
    """Refuse what is no file, without opening it.

    Raises:
        VideoMissingError: There is nothing at the path.
        VideoUnreadableError: There is something else than a file; the message says what.
    """
    if reason := why_no_file(path):
        kind = VideoUnreadableError if os.path.lexists(path) else VideoMissingError
        raise kind(f"{path} can't be read: {reason}")


def why_no_file(path: Path) -> str:
    """Why there is no file to read at a path; empty if there is one, or a link to one. Nothing is opened."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        is_lost = isinstance(error, FileNotFoundError) and path.is_symlink()
        return "it is a link to nothing" if is_lost else str(error.strerror)
    return "" if kind == stat.S_IFREG else f"{KINDS.get(kind, 'it is something else')}, not a file"
