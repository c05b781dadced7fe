"""Python's garbage collection, which looks at all objects time and again where very many are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected meanwhile, in no thread: for seconds in which very many objects are made and kept.

    Several may overlap; it is collected again when the first of them ends.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def collect_rarely() -> None:
    """For a process that ends soon: not never, as libraries leave garbage with much that they do."""
    gc.set_threshold(1_000_000)
