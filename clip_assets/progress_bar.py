"""A line on standard error, where that is a terminal: videos done and failed, frames per second, time left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self


class ProgressBar:
    """A line that keeps itself up to date; a context manager that removes it.

    The frames still to come are estimated: videos that nobody has looked at yet count like the average of the others.
    """

    def __init__(self, videos: int) -> None:
        from tqdm import tqdm  # type: ignore[import-untyped]

        self._videos = videos
        self._done = self._failed = self._looked_at = self._frames = 0
        self._bar = tqdm(
            desc=self._description,
            unit="frame",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            leave=False,
            dynamic_ncols=True,
        )

    def looked_at(self, frames: int, videos: int = 1) -> None:
        """Videos with so many frames to encode were begun, or with none, that failed."""
        self._looked_at += videos
        self._frames += frames
        self._bar.total = self.total

    @property
    def total(self) -> int:
        """Frames of all videos, as far as is known."""
        return round(self._frames / max(self._looked_at, 1) * self._videos)

    def encoded(self, frames: int) -> None:
        """So many frames more are encoded."""
        self._bar.update(frames)

    def video_done(self, failed: bool = False) -> None:
        """A video is done, or has failed."""
        self._done += 1
        self._failed += failed
        self._bar.set_description(self._description)

    @property
    def _description(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._done}/{self._videos} videos{failed}"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to other output."""
        self._bar.clear()
        yield
        self._bar.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
