"""Progress in a run's log: a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

SECONDS_BETWEEN_LINES = 5.0


class ProgressLog:
    """Says how many videos and frames are done, how fast, and how long the rest will take.

    Args:
        write: Takes a line, such as a logger's ``info``.
        videos: How many there are.
        frames: How many they have together; 0 where nobody knows, and then videos alone are counted.
        clock: Seconds that only increase.
    """

    def __init__(
        self, write: Callable[[str], object], videos: int, frames: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._videos = videos
        self._frames = frames
        self._clock = clock
        self._began = self._written = clock()
        self._videos_done = 0
        self._frames_done = 0

    def add_video(self) -> None:
        """One more video is done."""
        self._videos_done += 1
        self._tell()

    def add_frames(self, count: int) -> None:
        """More frames are done."""
        self._frames_done += count
        self._tell()

    def _tell(self) -> None:
        now = self._clock()
        if now - self._written < SECONDS_BETWEEN_LINES:
            return
        self._written = now
        seconds = now - self._began
        parts = [f"{self._videos_done} of {self._videos} videos"]
        if self._frames:
            parts.append(f"{self._frames_done} of {self._frames} frames")
            parts.append(f"{self._frames_done / seconds:.1f} frames/s")
        done, total = (self._frames_done, self._frames) if self._frames else (self._videos_done, self._videos)
        if done:
            left = timedelta(seconds=round(seconds * max(total - done, 0) / done))
            parts.append(f"about {left} left")
        self._write(", ".join(parts))
