"""Ask a library: search, look whether what is behind the answer still stands, and search again where it doesn't."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from clip_assets.core.errors import ResultCorruptError, ResultMissingError, StoreError
from clip_assets.core.search.search import Answer, Found, Wanted, search
from clip_assets.core.search.upkeep import AT_ONCE, FEATURES
from clip_assets.core.shots import row_edges
from clip_assets.core.store.arrays import layout_of
from clip_assets.core.store.manifest import StoredArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clip_assets.core.search.index import IndexedVideo
    from clip_assets.core.search.upkeep import Upkeep
    from clip_assets.core.store import Store
    from clip_assets.core.store.manifest import Manifest

T = TypeVar("T")

_MOST_TRIES = 10
_KEPT = 4096


def ask(upkeep: Upkeep, rows: StoredRows, weights: str, wanted: Wanted) -> Answer:
    """The best moments; all that is in them was true when they were confirmed.

    Args:
        upkeep: Of the index.
        rows: Of the features.
        weights: The model's weights' SHA-256.
        wanted: What for.

    Raises:
        StoreError: The store or the index can't be used, or changes faster than it is read.
    """
    for _ in range(_MOST_TRIES):
        answer = search(upkeep.cache.index(weights), rows, wanted, at_once=1 if rows.is_local else AT_ONCE)
        behind = {video.directory for moment in answer.moments for video in (moment.video, *moment.also_in)}
        unreadable = {video.directory for video in answer.unreadable}
        for moment in answer.moments:
            try:
                rows.times(moment.video)
            except (ResultMissingError, ResultCorruptError):
                unreadable.add(moment.video.directory)
        if upkeep.confirm(behind, unreadable):
            return answer
    raise StoreError("The stored results change faster than they can be read.")


class StoredRows:
    """Rows of stored features. Manifests and times are kept: of one identity, they never change."""

    def __init__(self, store: Store) -> None:
        self.is_local = store.is_local
        self._store = store
        self._manifests: dict[tuple[str, str], Manifest] = {}
        self._times: dict[tuple[str, str], NDArray[np.float64]] = {}

    def __call__(self, video: IndexedVideo, spans: Sequence[tuple[int, int]]) -> list[NDArray[np.float32]]:
        """The rows of a video's features from each first to before each last, float32 (n, D).

        Raises:
            ResultMissingError: Nothing whole is stored.
            ResultCorruptError: Another result is stored, or its file is cut off.
        """
        if not video.header or self._store.is_local:  # where a manifest costs nothing, it says what is there
            return self._store.rows(self.manifest(video), "clip", spans)
        clip = StoredArray((video.rows, video.width), "float32")
        return self._store.rows(layout_of(FEATURES, video.key, "clip", clip, video.header), "clip", spans)

    def manifest(self, video: IndexedVideo) -> Manifest:
        """The manifest of a video's features; raises as a call does."""
        known = self._manifests.get((video.directory, video.identity))
        if known is None:
            found = self._store.manifest(FEATURES, video.key)
            if found is None:
                raise ResultMissingError(f"The features of {video.key!r} are gone.")
            if found.arrays["clip"].shape[0] != video.rows:
                raise ResultCorruptError(f"The features of {video.key!r} are others than those that were indexed.")
            known = _keep(self._manifests, video, found)
        return known

    def edges(self, video: IndexedVideo) -> NDArray[np.float64]:
        """Where the time of each of a video's rows begins, see `row_edges`; raises as a call does."""
        return row_edges(self.times(video), video.duration_ms)

    def times(self, video: IndexedVideo) -> NDArray[np.float64]:
        """The times of a video's samples, float64 (T,); raises as a call does."""
        if video.packed_times:
            return video.times_ms
        known = self._times.get((video.directory, video.identity))
        if known is None:
            (read,) = self._store.rows(self.manifest(video), "timestamps_ms", [(0, video.rows)])
            known = _keep(self._times, video, read)
        return known


def _keep(known: dict[tuple[str, str], T], video: IndexedVideo, value: T) -> T:
    """Keep what was read of a video; of very many, none."""
    if len(known) >= _KEPT:
        known.clear()
    known[video.directory, video.identity] = value
    return value


def span_ms(found: Found, rows: StoredRows) -> tuple[float, float, float]:
    """From, to and best time of a moment."""
    edges, times = rows.edges(found.video), rows.times(found.video)
    return float(edges[found.first_row]), float(edges[found.last_row + 1]), float(times[found.best_row])
