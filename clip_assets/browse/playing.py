"""Videos for the browser's player: the file itself, and stretches encoded anew where the browser can't play it."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clip_assets.browse.holdings import FEATURES
from clip_assets.core.digests import digest
from clip_assets.core.errors import ResultMissingError
from clip_assets.core.library.regular_files import check_is_file
from clip_assets.core.video.clips import cut

if TYPE_CHECKING:
    from clip_assets.core.library.source import VideoSource
    from clip_assets.core.records import SourceStat
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


@dataclass(frozen=True)
class Original:
    """A video as it is.

    Attributes:
        videos: Where it is.
        key: Its partition key.
        stat: What was told of it.
    """

    videos: VideoSource
    key: str
    stat: SourceStat

    @property
    def media_type(self) -> str:
        """What the browser is told it is."""
        return _MEDIA_TYPES.get(PurePosixPath(self.key).suffix.lower(), "application/octet-stream")

    @property
    def file(self) -> Path | None:
        """Its file, where it is one of this machine."""
        if not self.videos.is_local:
            return None
        with self.videos.local(self.key) as path:
            return path

    def read(self, start: int, end: int) -> bytes:
        """Its bytes from ``start`` to before ``end``.

        Raises:
            VideoError: It can't be read.
        """
        return self.videos.read(self.key, start, end)


class Playing:
    """Files to play of the videos whose features are stored."""

    def __init__(self, store: Store, videos: VideoSource) -> None:
        self._store = store
        self._videos = videos
        self._folder = tempfile.TemporaryDirectory(prefix="clip-assets-browse-")
        self._encoding = threading.Lock()

    def original(self, key: str) -> Original:
        """The video itself.

        Raises:
            ResultMissingError: No features are stored.
            PartitionKeyError: The key can't be one.
            VideoError: The video is gone, or can't be read.
        """
        if self._store.manifest(FEATURES, key) is None:
            raise ResultMissingError(f"No features are stored for {key!r}.")
        original = Original(self._videos, key, self._videos.stat(key))
        if original.file:
            check_is_file(original.file)
        return original

    def stretch(self, key: str, from_ms: float) -> Path:
        """An MP4 file of what is on screen from a time on, upright, in the colours of an SDR screen, without sound.

        Raises:
            VideoError: The video can't be read, or shows nothing then.
            And as `original`.
        """
        stat = self.original(key).stat
        name = digest({"key": key, **asdict(stat), "from_ms": from_ms})
        target = Path(self._folder.name) / f"{name}.mp4"
        with self._encoding:
            if not target.exists():
                unfinished = target.with_suffix(".part")
                with self._videos.local(key, stat) as path:
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
