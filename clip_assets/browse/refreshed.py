"""A value that takes long to compute: computed in the background, at most so often, shown with its age until then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from clip_assets.core.errors import ClipAssetsError

T = TypeVar("T")

_SHARE = 10.0
"""A value that took a second is computed again after so many at the earliest."""


class Refreshed(Generic[T]):
    """A value and its age; safe to use from several threads.

    Attributes:
        trouble: Why it couldn't be computed the last time; empty if it could.
    """

    def __init__(self, compute: Callable[[], T], empty: T, every_seconds: float) -> None:
        """Nothing is computed yet.

        Args:
            compute: Gives the value.
            empty: The value until then.
            every_seconds: How old it may be before it is computed again.
        """
        self.trouble = ""
        self._compute = compute
        self._value = empty
        self._every_seconds = every_seconds
        self._began = self._ended = -float("inf")
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def get(self, patience_seconds: float) -> T:
        """The value: a new one if it is due and comes within that time, else the one there is."""
        with self._lock:
            pause = max(self._every_seconds, _SHARE * (self._ended - self._began) if self.age() is not None else 0.0)
            if self._thread is None and time.monotonic() - self._ended > pause:
                self._thread = threading.Thread(target=self._refresh, daemon=True)
                self._thread.start()
            thread = self._thread
        if thread:
            thread.join(patience_seconds)
        return self._value

    def age(self) -> float | None:
        """Seconds since the value was begun; None where there is none yet."""
        return time.monotonic() - self._began if self._began > -float("inf") else None

    def _refresh(self) -> None:
        began = time.monotonic()
        try:
            value = self._compute()
            if value != self._value:  # who has computed more from it needn't again
                self._value = value
            self._began, self.trouble = began, ""
        except ClipAssetsError as error:
            self.trouble = str(error)
        finally:
            with self._lock:
                self._ended, self._thread = time.monotonic(), None
