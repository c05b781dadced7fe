"""Videos for the browser's player: the file itself, and stretches encoded anew where the browser can't play it."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from clip_assets.browse.holdings import FEATURES
from clip_assets.core.digests import digest
from clip_assets.core.errors import ResultMissingError, VideoUnreadableError
from clip_assets.core.library.regular_files import why_no_file
from clip_assets.core.video.clips import cut

if TYPE_CHECKING:
    from clip_assets.core.library.source import VideoSource
    from clip_assets.core.store import Store

STRETCH_SECONDS = 30.0
"""The longest stretch."""

_SIDE = 1280
_CACHE_BYTES = 512 * 2**20
_MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",  # browsers refuse QuickTime's own type, and play what is in it
    ".webm": "video/webm",
    ".mkv": "video/webm",
    ".ogv": "video/ogg",
}


def media_type(path: Path) -> str:
    """What the browser is told a video's file is."""
    return _MEDIA_TYPES.get(path.suffix.lower(), "application/octet-stream")


class Playing:
    """Files to play of the videos whose features are stored."""

    def __init__(self, store: Store, videos: VideoSource) -> None:
        self._store = store
        self._videos = videos
        self._folder = tempfile.TemporaryDirectory(prefix="clip-assets-browse-")
        self._encoding = threading.Lock()

    def original(self, key: str) -> Path:
        """The video's own file.

        Raises:
            ResultMissingError: No features are stored.
            PartitionKeyError: The key can't be one.
            VideoUnreadableError: The file is gone, or is none.
        """
        if self._store.manifest(FEATURES, key) is None:
            raise ResultMissingError(f"No features are stored for {key!r}.")
        path = self._videos.path(key)
        if reason := why_no_file(path):
            raise VideoUnreadableError(f"{key} can't be played: {reason}.")
        return path

    def stretch(self, key: str, from_ms: float) -> Path:
        """An MP4 file of what is on screen from a time on, upright, in the colours of an SDR screen, without sound.

        Raises:
            VideoError: The video can't be read, or shows nothing then.
            And as `original`.
        """
        path = self.original(key)
        stat = path.stat()
        name = digest({"key": key, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "from_ms": from_ms})
        target = Path(self._folder.name) / f"{name}.mp4"
        with self._encoding:
            if not target.exists():
                unfinished = target.with_suffix(".part")
                cut(path, from_ms, from_ms + 1000 * STRETCH_SECONDS, unfinished, side=_SIDE)
                unfinished.replace(target)
                self._forget()
            target.touch()
        return target

    def _forget(self) -> None:
        """Remove the stretches that weren't asked for the longest, save the last one, down to what may be kept."""
        files = sorted(Path(self._folder.name).glob("*.mp4"), key=lambda file: file.stat().st_mtime_ns)
        size = sum(file.stat().st_size for file in files)
        for file in files[:-1]:
            if size <= _CACHE_BYTES:
                break
            size -= file.stat().st_size
            file.unlink()
