"""Whether the first question is answered at once: what it would wait for is done before it, in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable

from clip_assets.core.errors import ClipAssetsError

_LOADING = "Just started: the model is being loaded. A question that comes before waits for it."
_ABSENT = "The model's weights aren't on this machine: the first question downloads them, and waits for that."


class Readiness:
    """Prepares for questions.

    Attributes:
        told: What a first question would wait for, in words; empty where that is nothing, or nobody knows.
    """

    def __init__(self, prepare: Callable[[], bool]) -> None:
        """
        Args:
            prepare: May take long; gives False where it couldn't be done without a download.
        """
        self.told = ""
        self._prepare = prepare

    def begin(self) -> threading.Thread:
        """Begin to prepare; the thread ends when that is done."""
        self.told = _LOADING
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        told = ""
        try:
            if not self._prepare():
                told = _ABSENT
        except ClipAssetsError as error:
            told = str(error)
        finally:
            self.told = told
