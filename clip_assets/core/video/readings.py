"""What was read of videos, kept for as long as their files stay as they are: one reading serves a run's every step."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from clip_assets.core.library.signatures import Signature, stat_of
from clip_assets.core.library.source import VideoSource
from clip_assets.core.records import SourceStat, VideoProbe
from clip_assets.core.video.frames import DEFAULT_TIMEOUT_SECONDS, probe

SETTLED_NS = 2_000_000_000
"""Age of a file's last modification from which on a later one has another time, in nanoseconds: FAT's clock is the
coarsest."""

MAX_FRAMES = 8_000_000
"""Frames whose times are kept: 64 MB, or 74 hours of 30 frames per second. Videos beyond are probed each time."""


class Readings:
    """Fingerprints and probes of videos by key; one whose size or time of modification is another is read again.

    What isn't local is looked at once: it stays what it was then, and so does its copy. May be used by several threads.
    """

    def __init__(self, source: VideoSource) -> None:
        self._source = source
        self._fingerprints: dict[str, tuple[SourceStat, str]] = {}
        self._unsettled: set[str] = set()
        self._probes: dict[str, tuple[SourceStat, VideoProbe]] = {}
        self._signatures: dict[str, Signature | None] = {}
        self._stats: dict[str, SourceStat] = {}
        self._frames = 0
        self._lock = threading.Lock()

    def fingerprint(self, key: str) -> str:
        """What tells the video's content apart, see `core.library.fingerprints`.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoError: The video is missing or can't be read.
        """
        state = self._stat(key)
        known = self._fingerprints.get(key)
        if known is None or known[0] != state:
            (self._unsettled.discard if _is_settled(state) else self._unsettled.add)(key)
            known = state, self._source.fingerprint(key, state, will_be_read=True)
            self._fingerprints[key] = known
        return known[1]

    def signatures(self, keys: Collection[str]) -> dict[str, Signature | None]:
        """By key what another video would alter, see `VideoSource.signatures`."""
        unknown = [key for key in keys if key not in self._signatures]
        asked = self._source.signatures(unknown)
        if not self._source.is_local:
            self._signatures |= asked
            self._stats |= {key: stat_of(signature) for key, signature in asked.items() if signature}
        return {key: asked[key] if key in asked else self._signatures[key] for key in keys}

    def source_stat(self, key: str) -> SourceStat | None:
        """The video as it was when its fingerprint was taken.

        None where it wasn't taken, or so soon after a modification that the next one could have the same time.
        """
        known = self._fingerprints.get(key)
        return known[0] if known and key not in self._unsettled else None

    def probe(self, key: str, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> VideoProbe:
        """What the container says of the video, see `core.video.probing`.

        Args:
            key: The partition key.
            timeout_seconds: The longest that opening, or one read, may take.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoUnreadableError: The video is missing, or none.
            VideoTimeoutError: Reading takes too long.
        """
        state = self._stat(key)
        known = self._probes.get(key)
        if known is None or known[0] != state:
            with self._source.local(key, state) as path:
                known = state, probe(path, timeout_seconds=timeout_seconds)
            self._keep(key, known)
        return known[1]

    @contextmanager
    def held(self, key: str, following: str | None = None) -> Iterator[None]:
        """Keep what `probe` gave of a video readable for as long as the context lasts.

        Args:
            key: The partition key.
            following: The video that is read next, if one is.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoError: The video can't be fetched.
        """
        with self._source.local(key, self._stats.get(key)):
            if following is not None:
                self._source.expect(following, self._stats.get(following))
            yield

    def _stat(self, key: str) -> SourceStat:
        if self._source.is_local:
            return self._source.stat(key)
        if key not in self._stats:
            self._stats[key] = self._source.stat(key)
        return self._stats[key]

    def _keep(self, key: str, known: tuple[SourceStat, VideoProbe]) -> None:
        """Keep it if there is room: what is kept stays, for a run goes through its videos in order, several times."""
        with self._lock:
            if old := self._probes.pop(key, None):
                self._frames -= old[1].frame_count
            if self._frames + known[1].frame_count <= MAX_FRAMES:
                self._frames += known[1].frame_count
                self._probes[key] = known


def _is_settled(state: SourceStat) -> bool:
    return time.time_ns() - state.mtime_ns > SETTLED_NS
