"""MPEG-TS: packets of one size, each numbered within its stream (ITU-T H.222.0, 2.4.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from clip_assets.core.video.containers.account import Account

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYNC = 0x47
PACKET_BYTES = 188
HEADER_BYTES = 6  # with the flags of the adaptation field

# How far packets are apart: as they are; with a time stamp before each (m2ts); with error correction behind each.
DISTANCES = (188, 192, 204)

# Bytes by which the distance is told, that are looked at together, and in which packets are searched.
HEAD_BYTES = 2**18
CHUNK_BYTES = 2**19
SEARCH_BYTES = 2**16

# Places without sync bytes from which on a file isn't read further.
MOST_BREAKS = 100

# Packets in a row that show where they begin.
ROW = 3


@dataclass
class _Seen:
    """What a pass over the packets shows.

    Attributes:
        rows: Packets so far.
        lost: Packets of the video stream that are missing, by their numbers, or marked as broken.
        joined: Places at which its numbers break as they do where another recording begins: behind its tables.
        unsynced: Bytes between the first and the last packet that belong to none.
        spans: First and last packet of each stream that carries video, by its id.
    """

    rows: int = 0
    lost: int = 0
    joined: int = 0
    unsynced: int = 0
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)
    number: int | None = None
    tables_since: bool = False


def ts_account(file: BinaryIO, size: int, video: int) -> Account:
    """Whether packets follow each other to the end of the file, and those of the video stream are numbered in turn.

    Args:
        file: The file.
        size: Its size in bytes.
        video: Id of the video stream.
    """
    head = _read(file, 0, min(HEAD_BYTES, size))
    distance = _distance(head)
    place = _next_row(file, 0, size, distance) if distance else None
    if place is None:
        return Account()
    seen = _Seen(unsynced=place if place >= PACKET_BYTES and not head[:place].any() else 0)
    breaks = 0
    while size - place >= PACKET_BYTES and breaks < MOST_BREAKS:
        place = _read_rows(file, place, size, distance, video, seen)
        if size - place < PACKET_BYTES:
            break
        found = _next_row(file, place, size, distance)
        if found is None:
            missing = -(-(size - place) // distance)
            return Account(f"the file ends early: its last {missing} packets have no sync byte (0x47)")
        seen.unsynced += found - place
        place, breaks = found, breaks + 1
    return _verdict(seen, video, size - place)


def _verdict(seen: _Seen, video: int, left_over: int) -> Account:
    if seen.unsynced:
        return Account(f"packets are broken: {seen.unsynced} bytes between them belong to none", within=True)
    if seen.lost:
        return Account(
            f"packets are missing: at least {seen.lost} of the video stream's, by their numbers", within=True
        )
    if 0 < left_over < PACKET_BYTES:
        return Account(f"the file ends early: a part of a packet is at its end, {left_over} of {PACKET_BYTES} bytes")
    first, last = seen.spans.get(video, (0, seen.rows))
    others = [pid for pid, span in seen.spans.items() if pid != video and (span[0] > last or span[1] < first)]
    if others:
        return Account(f"the video goes on in another stream, of id 0x{others[0]:x}, which isn't read")
    gap = "packets are missing where their numbers break and their times have a gap" if seen.joined else ""
    return Account(gap=gap)


def _read(file: BinaryIO, place: int, count: int) -> NDArray[np.uint8]:
    file.seek(place)
    return np.frombuffer(file.read(count), dtype=np.uint8)


def _distance(head: NDArray[np.uint8]) -> int:
    """How far packets are apart; 0 if there are none."""
    best = (ROW - 1, 0)
    for distance in DISTANCES:
        count = len(head) // distance
        if count:
            hits = (head[: count * distance].reshape(count, distance) == SYNC).sum(axis=0)
            best = max(best, (int(hits.max()), -distance))
    return -best[1]


def _read_rows(file: BinaryIO, place: int, size: int, distance: int, video: int, seen: _Seen) -> int:
    """Look at packets from one on; gives the place at which the next one should begin."""
    while size - place >= PACKET_BYTES:
        data = _read(file, place, min(CHUNK_BYTES // distance * distance, size - place))
        rows = np.lib.stride_tricks.sliding_window_view(data, PACKET_BYTES)[::distance]
        synced = rows[:, 0] == SYNC
        count = len(rows) if synced.all() else int(synced.argmin())
        _note(rows[:count], video, seen)
        place += count * distance
        if count < len(rows):
            break
    return place


def _next_row(file: BinaryIO, place: int, size: int, distance: int) -> int | None:
    """Where packets begin again; None if they don't."""
    reach = distance * (ROW - 1)
    while size - place >= PACKET_BYTES:
        data = _read(file, place, min(SEARCH_BYTES, size - place))
        places = np.flatnonzero(data == SYNC)
        good = np.ones(len(places), dtype=bool)
        for step in range(distance, reach + 1, distance):
            beyond = places + step >= len(data)
            good &= beyond | (data[np.minimum(places + step, len(data) - 1)] == SYNC)
        good &= places + PACKET_BYTES <= len(data)
        if good.any():
            return place + int(places[good.argmax()])
        if len(data) < SEARCH_BYTES:
            return None
        place += len(data) - reach
    return None


def _note(rows: NDArray[np.uint8], video: int, seen: _Seen) -> None:
    heads = np.ascontiguousarray(rows[:, :HEADER_BYTES].T)
    pids = (heads[1] & 0x1F).astype(np.uint16) << 8 | heads[2]
    _note_spans(rows, heads, pids, seen)
    places = np.flatnonzero(pids == video)
    tables = np.flatnonzero(pids == 0)
    if len(places):
        _note_numbers(heads[:, places], places, tables, seen)
        seen.tables_since = bool(len(tables)) and bool(tables[-1] > places[-1])
    else:
        seen.tables_since = seen.tables_since or bool(len(tables))
    seen.rows += len(rows)


def _note_numbers(heads: NDArray[np.uint8], places: NDArray[np.int64], tables: NDArray[np.int64], seen: _Seen) -> None:
    numbers = (heads[3] & 0x0F).astype(np.int64)
    has_payload = heads[3] >> 4 & 1
    announced = (heads[3] & 0x20 > 0) & (heads[4] > 0) & (heads[5] & 0x80 > 0)
    before = np.concatenate([[numbers[0] - has_payload[0] if seen.number is None else seen.number], numbers[:-1]])
    steps = numbers - before & 0x0F
    odd = (steps != has_payload) & (steps != 0) & ~announced
    tables_before = np.diff(np.searchsorted(tables, places), prepend=0) > 0
    tables_before[0] |= seen.tables_since
    joined = odd & (heads[1] & 0x40 > 0) & tables_before
    seen.joined += int(joined.sum())
    seen.lost += int((steps - has_payload & 0x0F)[odd & ~joined].sum()) + int((heads[1] & 0x80 > 0).sum())
    seen.number = int(numbers[-1])


def _note_spans(rows: NDArray[np.uint8], heads: NDArray[np.uint8], pids: NDArray[np.uint16], seen: _Seen) -> None:
    """Note where each stream of video starts and ends, by the packets in which its pictures start."""
    starts = np.flatnonzero((heads[1] & 0x40 > 0) & (heads[3] & 0x10 > 0))
    payload = 4 + np.where(heads[3, starts] & 0x20 > 0, heads[4, starts].astype(np.int64) + 1, 0)
    codes = [rows[starts, np.minimum(payload + step, PACKET_BYTES - 1)] for step in range(4)]
    is_video = (codes[0] == 0) & (codes[1] == 0) & (codes[2] == 1) & (codes[3] & 0xF0 == 0xE0)
    starts = starts[is_video & (payload + 4 <= PACKET_BYTES)]
    for pid in set(pids[starts].tolist()):
        mine = starts[pids[starts] == pid]
        first, last = seen.rows + int(mine[0]), seen.rows + int(mine[-1])
        seen.spans[pid] = (seen.spans.get(pid, (first, last))[0], last)
