"""When a library is compared with what is searched: before a question where that is quick, else beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from clip_assets.core.errors import ClipAssetsError

if TYPE_CHECKING:
    from clip_assets.core.search.upkeep import Upkeep

LOOK_SECONDS = 10.0
"""The whole library is compared in the background, at most so often."""

SMALL_LIBRARY = 1000
"""Videos below which a library is compared at once, the first time that it is asked."""


class Comparing:
    """Compares a library; safe to use from several threads.

    Attributes:
        trouble: Why it couldn't be compared in the background, the last time that this was tried; else empty.
    """

    def __init__(self, upkeep: Upkeep) -> None:
        self.trouble = ""
        self._upkeep = upkeep
        self._background: threading.Thread | None = None
        self._is_first = True
        self._first = threading.Lock()
        self._lock = threading.Lock()

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compare the whole library with what is searched.

        Args:
            progress: Told now and then how many of how many new and changed videos are read.

        Raises:
            StoreError: What is stored can't be read.
        """
        self._is_first = False
        self._upkeep.refresh(progress)
        self.trouble = ""

    def if_small(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compare the whole library before the first question, if that is quickly done or was never done.

        Args:
            progress: As of `refresh`.
        """
        with self._first:  # who asks meanwhile waits for it: before it nothing is found
            if self._is_first and (self._upkeep.count() < SMALL_LIBRARY or not self._upkeep.cache.looked_at()):
                self.refresh(progress)

    def compare(self, refresh: bool = False) -> None:
        """Compare the whole library: at once if that is asked for, or quickly done; else in the background."""
        if refresh:
            self.refresh()
            return
        self.if_small()
        if time.time() - self._upkeep.cache.looked_at() > LOOK_SECONDS:
            with self._lock:
                if not (self._background and self._background.is_alive()):
                    self._background = threading.Thread(target=self._compare_quietly, daemon=True)
                    self._background.start()

    def wait(self) -> None:
        """Wait until a comparison in the background is done."""
        if self._background:
            self._background.join()

    def _compare_quietly(self) -> None:
        try:
            self.refresh()
        except ClipAssetsError as error:
            self.trouble = str(error)
