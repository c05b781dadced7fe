"""What was read of videos, kept for as long as their files stay as they are: one reading serves a run's every step."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.library.listing import fingerprint
from clip_assets.core.records import SourceStat, VideoProbe
from clip_assets.core.video.frames import DEFAULT_TIMEOUT_SECONDS, probe

SETTLED_NS = 2_000_000_000
"""Age of a file's last modification from which on a later one has another time, in nanoseconds: FAT's clock is the
coarsest."""

MAX_FRAMES = 8_000_000
"""Frames whose times are kept: 64 MB, or 74 hours of 30 frames per second. Videos beyond are probed each time."""


class Readings:
    """Fingerprints and probes of files; one whose size or time of modification is another by now is read again.

    May be used by several threads.
    """

    def __init__(self) -> None:
        self._fingerprints: dict[Path, tuple[SourceStat, str]] = {}
        self._unsettled: set[Path] = set()
        self._probes: dict[Path, tuple[SourceStat, VideoProbe]] = {}
        self._frames = 0
        self._lock = threading.Lock()

    def fingerprint(self, path: Path) -> str:
        """What tells the file's content apart, see `core.library.fingerprint`.

        Raises:
            VideoUnreadableError: The file is missing or can't be read.
        """
        state = _state(path)
        known = self._fingerprints.get(path)
        if known is None or known[0] != state:
            (self._unsettled.discard if _is_settled(state) else self._unsettled.add)(path)
            known = state, fingerprint(path)
            self._fingerprints[path] = known
        return known[1]

    def source_stat(self, path: Path) -> SourceStat | None:
        """The file as it was when its fingerprint was taken.

        None where it wasn't taken, or so soon after a modification that the next one could have the same time.
        """
        known = self._fingerprints.get(path)
        return known[0] if known and path not in self._unsettled else None

    def probe(self, path: Path, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> VideoProbe:
        """What the container says of the video, see `core.video.probing`.

        Args:
            path: The file.
            timeout_seconds: The longest that opening, or one read, may take.

        Raises:
            VideoUnreadableError: The file is no video.
            VideoTimeoutError: Reading takes too long.
        """
        state = _state(path)
        known = self._probes.get(path)
        if known is None or known[0] != state:
            known = state, probe(path, timeout_seconds=timeout_seconds)
            self._keep(path, known)
        return known[1]

    def _keep(self, path: Path, known: tuple[SourceStat, VideoProbe]) -> None:
        """Keep it if there is room: what is kept stays, for a run goes through its videos in order, several times."""
        with self._lock:
            if old := self._probes.pop(path, None):
                self._frames -= old[1].frame_count
            if self._frames + known[1].frame_count <= MAX_FRAMES:
                self._frames += known[1].frame_count
                self._probes[path] = known


def _is_settled(state: SourceStat) -> bool:
    return time.time_ns() - state.mtime_ns > SETTLED_NS


def _state(path: Path) -> SourceStat:
    try:
        stat = path.stat()
    except OSError as error:
        raise VideoUnreadableError(f"{path.absolute()} can't be read: {error.strerror}.") from error
    return SourceStat(stat.st_size, stat.st_mtime_ns)
