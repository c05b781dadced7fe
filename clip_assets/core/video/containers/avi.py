"""AVI: chunks in RIFF lists, each with its size, and an index behind the frames (Microsoft's AVI RIFF reference)."""

from __future__ import annotations

from typing import BinaryIO

from clip_assets.core.video.containers.account import Account

# What is written in place of a size that isn't known yet.
UNKNOWN_SIZES = (0, 0xFFFFFFFF)


def avi_account(file: BinaryIO, size: int) -> Account:
    """Whether the lists are as long as they say, and an index was written behind the frames.

    Args:
        file: The file.
        size: Its size in bytes.
    """
    place = 0
    while place + 12 <= size:
        file.seek(place)
        header = file.read(12)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] != b"RIFF":
            break
        if length in UNKNOWN_SIZES:
            return Account(states_length=False)
        place += 8 + length + length % 2
        if place > size + 1:
            return Account(f"the file ends early: {place - size} of its {place} bytes are missing")
    return Account(ends=place > 0 and _has_index(file, size))


def _has_index(file: BinaryIO, size: int) -> bool:
    place = 12
    while place + 8 <= size:
        file.seek(place)
        header = file.read(8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] == b"idx1":
            return length > 0
        if not header.strip(b"\0"):
            return False
        place += 8 + length + length % 2
    return False
