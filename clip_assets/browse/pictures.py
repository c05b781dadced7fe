"""Pictures of moments: kept ones at once, decoded ones when there is room; the last ones are remembered."""

from __future__ import annotations

import functools
import io
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.browse.holdings import FEATURES
from clip_assets.core.errors import ResultMissingError, VideoUnreadableError
from clip_assets.core.library.regular_files import check_is_file
from clip_assets.core.pictures.sheets import thumbnails
from clip_assets.core.search.thumbnail import kept_picture
from clip_assets.core.video import probe

if TYPE_CHECKING:
    from PIL.Image import Image

    from clip_assets.core.library.source import VideoSource
    from clip_assets.core.records import VideoProbe
    from clip_assets.core.store import Store
    from clip_assets.core.store.manifest import Manifest

SIDE = 640
"""Pixels of the longer side of a decoded picture, at most."""

_QUALITY = 85
_CACHE_BYTES = 64 * 2**20


class ByteCache:
    """Bytes by name; of very many, those that weren't asked for the longest are forgotten. Safe for several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes | None:
        """The bytes; None where there are none by that name, or none any more."""
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
            return self._held.get(name)

    def put(self, name: str, data: bytes) -> None:
        """Remember bytes in place of those of that name."""
        with self._lock:
            self._size += len(data) - len(self._held.pop(name, b""))
            self._held[name] = data
            while self._size > self._limit_bytes:
                self._size -= len(self._held.popitem(last=False)[1])


class Pictures:
    """JPEG pictures of the stored frames of videos."""

    def __init__(self, store: Store, videos: VideoSource) -> None:
        self._store = store
        self._videos = videos
        self._cache = ByteCache(_CACHE_BYTES)

    def kept(self, key: str, best_ms: float, from_ms: float, to_ms: float) -> bytes | None:
        """The kept picture nearest to a time, between two times; None where none is kept there.

        Raises:
            ResultMissingError: No features are stored.
            StoreError: What is stored can't be read.
        """
        manifest = self._manifest(key)
        indices, best = self._frames(manifest, best_ms, from_ms, to_ms)
        name = f"kept {manifest.created} {key} {best} {indices[0]} {indices[-1]}"
        known = self._cache.get(name)
        if known is None:
            picture = kept_picture(self._store, manifest, indices, best)
            known = _jpeg(picture) if picture else b""
            self._cache.put(name, known)
        return known or None

    def decoded(self, key: str, best_ms: float) -> bytes:
        """The sampled frame nearest to a time, as a player shows it.

        Raises:
            ResultMissingError: No features are stored.
            PartitionKeyError: The key can't be one.
            StoreError: What is stored can't be read.
            VideoError: The video can't be read.
        """
        manifest = self._manifest(key)
        _, best = self._frames(manifest, best_ms, best_ms, best_ms)
        name = f"decoded {manifest.created} {key} {best}"
        known = self._cache.get(name)
        if known is None:
            with self._videos.local(key) as path:
                made = thumbnails(_probed(path), np.array([best]), side=SIDE)
            if best not in made:
                raise VideoUnreadableError(f"Frame {best} of {key} doesn't decode.")
            known = _jpeg(made[best])
            self._cache.put(name, known)
        return known

    def _manifest(self, key: str) -> Manifest:
        manifest = self._store.manifest(FEATURES, key)
        if manifest is None or not manifest.arrays["indices"].shape[0]:
            raise ResultMissingError(f"No features are stored for {key!r}.")
        return manifest

    def _frames(self, manifest: Manifest, best_ms: float, from_ms: float, to_ms: float) -> tuple[list[int], int]:
        """The frames of the samples between two times, and the one nearest to the best time."""
        count = manifest.arrays["indices"].shape[0]
        (indices,) = self._store.rows(manifest, "indices", [(0, count)])
        (times,) = self._store.rows(manifest, "timestamps_ms", [(0, count)])
        best = int(np.abs(times - best_ms).argmin())
        inside = (times >= from_ms) & (times <= to_ms)
        inside[best] = True
        return indices[inside].tolist(), int(indices[best])


def _jpeg(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _probed(path: Path) -> VideoProbe:
    """What the container says, which takes long for a long video and is asked again for its next picture."""
    check_is_file(path)
    stat = path.stat()
    return _probed_as_it_is(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _probed_as_it_is(path: Path, size: int, mtime_ns: int) -> VideoProbe:
    return probe(path)
