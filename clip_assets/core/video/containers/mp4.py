"""MP4 and QuickTime: boxes (ISO/IEC 14496-12, 4.2); fragments are numbered (8.8.5) and may have an index (8.16.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from clip_assets.core.video.containers.account import Account


@dataclass
class _Boxes:
    """The outermost boxes of a file.

    Attributes:
        names: The name of each.
        fragments: Where fragments begin.
        numbers: The number of each fragment.
        indexed: Where fragments begin by the index behind them.
        index_ends: Where fragments end by the indices in front of them.
        end: Where the last box ends.
    """

    names: list[bytes] = field(default_factory=list)
    fragments: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    indexed: list[int] = field(default_factory=list)
    index_ends: list[int] = field(default_factory=list)
    end: int = 0


def mp4_account(file: BinaryIO, size: int) -> Account:
    """Whether the fragments are all there; of a file without fragments its index tells all.

    Args:
        file: The file.
        size: Its size in bytes.
    """
    boxes = _walk(file, size)
    if not boxes.numbers:
        return Account(ends=True)
    promised = max([boxes.end, *boxes.index_ends])
    if promised > size:
        return Account(f"the file ends early: {promised - size} of its {promised} bytes are missing")
    if boxes.end < size:
        return Account(f"the file is broken from byte {boxes.end} on, {size - boxes.end} bytes before its end")
    lost = set(boxes.indexed) - set(boxes.fragments)
    if lost:
        return Account(
            f"fragments are missing: {len(lost)} that the index at the end names aren't where it says", within=True
        )
    steps = [(a, b) for a, b in zip(boxes.numbers, boxes.numbers[1:], strict=False) if b > a + 1]
    gap = ""
    if steps:
        before, after = steps[0]
        skipped = sum(b - a - 1 for a, b in steps)
        gap = f"fragments are missing: {skipped}, the first after number {before} and before number {after}"
    indexed = len(boxes.index_ends) == 1 and len(boxes.numbers) > 1
    return Account(ends=boxes.names[-1] == b"mfra" or indexed, gap=gap)


def _walk(file: BinaryIO, size: int) -> _Boxes:
    boxes = _Boxes()
    while boxes.end + 8 <= size:
        file.seek(boxes.end)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        elif length == 0 and name.strip(b"\0"):
            length = size - boxes.end
        if length < 8:
            break
        if name == b"moof":
            boxes.fragments.append(boxes.end)
            boxes.numbers += _sequence_number(file, boxes.end)
        if name == b"mfra":
            file.seek(boxes.end + 8)
            boxes.indexed += _indexed_fragments(file.read(length - 8))
        if name == b"sidx":
            boxes.index_ends.append(_indexed_end(file, boxes.end, length))
        boxes.names.append(name)
        boxes.end += length
    return boxes


def _sequence_number(file: BinaryIO, moof: int) -> list[int]:
    """The number in the `mfhd` box, which comes first in `moof`."""
    file.seek(moof + 8)
    header = file.read(16)
    return [int.from_bytes(header[12:16], "big")] if header[4:8] == b"mfhd" else []


def _indexed_end(file: BinaryIO, sidx: int, length: int) -> int:
    """Where what an index names ends."""
    file.seek(sidx + 8)
    body = file.read(length - 8)
    wide = 8 if body[:1] == b"\1" else 4
    first = 12 + 2 * wide
    offset = int.from_bytes(body[first - wide : first], "big")
    count = int.from_bytes(body[first + 2 : first + 4], "big")
    entries = (body[first + 4 + 12 * k : first + 8 + 12 * k] for k in range(count))
    return sidx + length + offset + sum(int.from_bytes(entry, "big") & 0x7FFFFFFF for entry in entries)


def _indexed_fragments(mfra: bytes) -> list[int]:
    """Where the index at the end says that fragments begin (`tfra`, 8.8.10)."""
    places = []
    start = 0
    while start + 24 <= len(mfra):
        length = int.from_bytes(mfra[start : start + 4], "big")
        if mfra[start + 4 : start + 8] == b"tfra":
            wide = 8 if mfra[start + 8] else 4
            sizes = mfra[start + 19]
            step = 2 * wide + 3 + (sizes >> 4 & 3) + (sizes >> 2 & 3) + (sizes & 3)
            first = start + 24 + wide
            places += [int.from_bytes(mfra[at : at + wide], "big") for at in range(first, start + length, step)]
        start += max(length, 8)
    return places
