"""How far a run is: lines in its log, and whoever follows it from the process that executes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

SECONDS_BETWEEN_LINES = 5.0


class Follower:
    """Hears what a run does, as it does it, and may ask it to stop; this one does neither."""

    def run_began(self, run_id: str) -> None:
        """A run began that others see from now on."""

    def will_encode(self, videos: int, frames: int) -> None:
        """So many frames of so many videos are to be encoded."""

    def encoded(self, frames: int) -> None:
        """So many more are encoded."""

    def failed(self, key: str, error: Exception) -> None:
        """There is no result for a partition."""

    def is_to_stop(self) -> bool:
        """Whether nothing further is to be computed."""
        return False


_follower: ContextVar[Follower | None] = ContextVar("follower", default=None)


@contextmanager
def followed_by(follower: Follower) -> Iterator[None]:
    """Runs that this thread executes meanwhile tell the follower what they do."""
    token = _follower.set(follower)
    try:
        yield
    finally:
        _follower.reset(token)


def follower() -> Follower:
    """Who follows the run that this thread executes."""
    return _follower.get() or Follower()


class Progress:
    """Says how many videos and frames are done: to the follower at once, to the log every few seconds.

    Args:
        write: Takes a line of the log, such as a logger's ``info``.
        videos: How many there are.
        frames: How many they have together; 0 where nobody knows, and then videos alone are counted.
        clock: Seconds that only increase.
    """

    def __init__(
        self, write: Callable[[str], object], videos: int, frames: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.frames = frames
        self._write = write
        self._videos = videos
        self._clock = clock
        self._began = self._written = clock()
        self._videos_done = 0
        self._frames_done = 0
        if frames:
            follower().will_encode(videos, frames)

    def add_video(self) -> None:
        """One more video is done."""
        self._videos_done += 1
        self._tell()

    def add_frames(self, count: int) -> None:
        """More frames are done."""
        self._frames_done += count
        follower().encoded(count)
        self._tell()

    def _tell(self) -> None:
        now = self._clock()
        if now - self._written < SECONDS_BETWEEN_LINES:
            return
        self._written = now
        seconds = now - self._began
        parts = [f"{self._videos_done} of {self._videos} videos"]
        if self.frames:
            parts.append(f"{self._frames_done} of {self.frames} frames")
            parts.append(f"{self._frames_done / seconds:.1f} frames/s")
        done, total = (self._frames_done, self.frames) if self.frames else (self._videos_done, self._videos)
        if done:
            left = timedelta(seconds=round(seconds * max(total - done, 0) / done))
            parts.append(f"about {left} left")
        self._write(", ".join(parts))
