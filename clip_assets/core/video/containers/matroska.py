"""Matroska and WebM: elements within elements, each with its size (RFC 8794 and RFC 9559)."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from clip_assets.core.video.containers.account import Account

if TYPE_CHECKING:
    from array import array

EBML_HEADER = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
CLUSTER = b"\x1f\x43\xb6\x75"

# What a cluster may hold behind its last block without being looked at.
CLUSTER_TAIL_BYTES = 32


def matroska_account(file: BinaryIO, size: int, places: array[int]) -> Account:
    """Whether the segment is whole, made of elements, and its clusters were read to their ends.

    Args:
        file: The file.
        size: Its size in bytes.
        places: Where packets that were read end, in bytes.
    """
    start = _segment_start(file)
    if start is None:
        return Account()
    length = ebml_size(file)
    end = size if length is None else file.tell() + length
    if end > size:
        return Account(f"the file ends early: {end - size} of its {end} bytes are missing")
    broken_at, clusters = _walk(file, end)
    if broken_at is not None:
        return Account(f"the file ends early, or is broken, {end - broken_at} of {end} bytes before its end")
    for start, stop in _unread(clusters, places):
        file.seek(start)
        broken_at, _ = _walk(file, stop)
        if broken_at is not None:
            return Account(f"the file is broken from byte {broken_at} to byte {stop}", within=True)
    return Account(ends=length is not None)


def ebml_size(file: BinaryIO) -> int | None:
    """The variable-length size that comes next; None where it says that it is unknown, as of a live recording."""
    first = file.read(1)
    length = 9 - first[0].bit_length() if first else 9
    if length > 8:
        return None
    mask = (1 << 7 * length) - 1
    size = int.from_bytes(first + file.read(length - 1), "big") & mask
    return None if size == mask else size


def _segment_start(file: BinaryIO) -> int | None:
    """Where the segment's size stands; the file is left there. None if this isn't Matroska."""
    file.seek(0)
    if file.read(4) != EBML_HEADER:
        return None
    header = ebml_size(file)
    if header is None:
        return None
    file.seek(header, 1)
    return file.tell() if file.read(4) == SEGMENT else None


def _walk(file: BinaryIO, end: int) -> tuple[int | None, list[tuple[int, int]]]:
    """Where the chain of elements up to `end` breaks, if it does, and the clusters as pairs of start and end."""
    clusters: list[tuple[int, int]] = []
    place = file.tell()
    while place < end:
        file.seek(place)
        first = file.read(1)
        length = 9 - first[0].bit_length()
        name = first + file.read(length - 1)
        if length > 4:
            return place, clusters
        size = ebml_size(file)
        start = file.tell()
        following = start if size is None else start + size  # what is of unknown size is gone through
        if following > end or start > end:
            return place, clusters
        if name == CLUSTER and size is not None:
            clusters.append((start, following))
        place = following
    return None, clusters


def _unread(clusters: list[tuple[int, int]], places: array[int]) -> list[tuple[int, int]]:
    """Clusters out of whose ends no packet came: what is there follows the last block, or can't be read."""
    if not clusters or not len(places):
        return []
    ends = np.array(clusters)[:, 1]
    packets = np.sort(np.asarray(places))
    last = packets[np.maximum(np.searchsorted(packets, ends, side="right") - 1, 0)]
    return [clusters[place] for place in np.flatnonzero(ends - last > CLUSTER_TAIL_BYTES)]
