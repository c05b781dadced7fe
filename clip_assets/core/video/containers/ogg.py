"""Ogg: numbered pages, the last of each stream marked (RFC 3533, section 6)."""

from __future__ import annotations

from typing import BinaryIO

from clip_assets.core.video.containers.account import Account

FIRST_PAGE, LAST_PAGE = 2, 4

VIDEO_HEADS = (b"\x80theora", b"OVP80", b"BBCD", b"\x01video")


def ogg_account(file: BinaryIO, size: int) -> Account:
    """Whether every page of video is there, up to the one that is marked as the last.

    Args:
        file: The file.
        size: Its size in bytes.
    """
    numbers: dict[int, int] = {}
    video: set[int] = set()
    lost = place = 0
    ended = False
    while place + 27 <= size:
        file.seek(place)
        header = file.read(27)
        if header[:4] != b"OggS":
            return Account(f"the file is broken from byte {place} on, {size - place} bytes before its end", within=True)
        serial, number = (int.from_bytes(header[start : start + 4], "little") for start in (14, 18))
        sizes = file.read(header[26])
        if header[5] & FIRST_PAGE:
            if file.read(16).startswith(VIDEO_HEADS):
                video.add(serial)
        elif serial in video:
            lost += max(number - numbers[serial] - 1, 0)
        if serial in video:
            ended = bool(header[5] & LAST_PAGE)
        numbers[serial] = number
        place += 27 + header[26] + sum(sizes)
    if lost:
        return Account(f"packets are missing: {lost} pages were left out", within=True)
    if place != size:
        return Account(f"the file ends early, inside a page of which {abs(place - size)} bytes are missing")
    return Account("" if ended or not video else "the file ends early: its last page isn't there", ends=ended)
