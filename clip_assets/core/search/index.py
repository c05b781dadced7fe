"""The index, loaded: a library's shots, to be compared with a query; the first of the two stages."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_TOGETHER = 256  # 512 KB in float32 at a width of 512: stays in a core's cache, and BLAS starts no threads for it


@dataclass(frozen=True, eq=False, slots=True)
class IndexedVideo:
    """A video that is searched.

    Attributes:
        directory: Where its result is, below the asset's directory.
        key: Its partition key.
        identity: Of its result, see `Store.identity`.
        rows: Number of its features, T.
        duration_ms: Where it ends.
        start: Row of the index that holds the video's own vector; its shots' means follow.
        first_rows: int32 (S,), the first of each shot's features.
        header: Bytes before the features in their file; 0 where they don't have one of their own.
        packed_times: See `times_ms`; empty where they aren't known.
        width: Numbers of a feature, D.
    """

    directory: str
    key: str
    identity: str
    rows: int
    duration_ms: float
    start: int
    first_rows: NDArray[np.int32]
    header: int = 0
    packed_times: bytes = b""
    width: int = 0

    @property
    def times_ms(self) -> NDArray[np.float64]:
        """float64 (T,), the times of the samples."""
        return np.frombuffer(zlib.decompress(self.packed_times), np.float64)


def pack_times(times_ms: NDArray[np.float64]) -> bytes:
    """As `IndexedVideo` keeps them: of samples at a steady rate next to nothing is left."""
    return zlib.compress(np.ascontiguousarray(times_ms, np.float64).tobytes(), 1)


@dataclass(frozen=True, eq=False)
class ShotIndex:
    """The vectors of all videos of one model, and whose each is; never changed.

    Attributes:
        videos: Those that are searched.
        bits: int16 (N, D), vectors of norm 1 as the bits of float16; some may be nobody's.
        owner: int32 (N,), the place in ``videos`` of the video whose shot a row is; -1 for all other rows.
    """

    videos: tuple[IndexedVideo, ...]
    bits: NDArray[np.int16]
    owner: NDArray[np.int32]

    @classmethod
    def of(cls, videos: tuple[IndexedVideo, ...], bits: NDArray[np.int16]) -> ShotIndex:
        """The index of these videos."""
        owner = np.full(len(bits), -1, dtype=np.int32)
        for number, video in enumerate(videos):
            owner[video.start + 1 : video.start + 1 + len(video.first_rows)] = number
        return cls(videos, bits, owner)

    def scores(self, query: NDArray[np.floating]) -> NDArray[np.float32]:
        """The product of each row with a query of norm 1: float32 (N,)."""
        return half_products(self.bits, query)

    def video_vectors(self) -> NDArray[np.float32]:
        """Each video's own vector: float32 (len(videos), D)."""
        places = np.array([video.start for video in self.videos], dtype=np.int64)
        return self.bits[places].view(np.float16).astype(np.float32)


def half_products(bits: NDArray[np.int16], query: NDArray[np.floating]) -> NDArray[np.float32]:
    """The products of float16 rows with a vector: float32 (N,).

    The bits of a half moved by 13 are those of a float 2**112 times too small, exactly; NumPy's own conversion takes
    three times as long. The query is scaled up meanwhile, so that no product is too small to be a normal number.

    Args:
        bits: int16 (N, D), finite halves.
        query: (D,), of norm 1.
    """
    products = np.empty(len(bits), dtype=np.float32)
    wide = np.empty((_ROWS_TOGETHER, bits.shape[1]), dtype=np.int32)
    scaled = query.astype(np.float32) * np.float32(2.0**60)
    for start in range(0, len(bits), _ROWS_TOGETHER):
        rows = bits[start : start + _ROWS_TOGETHER]
        floats = wide[: len(rows)]
        np.copyto(floats, rows)
        np.left_shift(floats, 13, out=floats)
        np.bitwise_and(floats, np.int32(-0x70002000), out=floats)  # the sign that was extended, save one bit of it
        np.dot(floats.view(np.float32), scaled, out=products[start : start + len(rows)])
    products *= np.float32(2.0**52)
    return products
