"""FLV: a chain of tags; the last one of H.264 and its successors says that the sequence ends (Adobe's FLV, annex E)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from clip_assets.core.video.containers.account import Account

AUDIO, VIDEO, SCRIPT = 8, 9, 18


def flv_account(file: BinaryIO, size: int) -> Account:
    """Whether the chain of tags reaches the end of the file, and whether that is where it should end.

    Args:
        file: The file.
        size: Its size in bytes.
    """
    file.seek(5)
    place = int.from_bytes(file.read(4), "big") + 4
    stated_size = stated_seconds = 0.0
    ended = False
    while place + 11 <= size:
        file.seek(place)
        header = file.read(13)
        kind, length = header[0] & 0x1F, int.from_bytes(header[1:4], "big")
        if kind not in (AUDIO, VIDEO, SCRIPT):
            return Account(f"the file is broken from byte {place} on, {size - place} bytes before its end", within=True)
        if place + 11 + length > size:
            missing = place + 11 + length - size
            return Account(f"the file ends early, inside a tag of which {missing} bytes are missing")
        if kind == VIDEO and length >= 2:
            ended = _ends_sequence(header[11], header[12])
        if kind == SCRIPT and not stated_seconds:
            script = file.read(max(length - 2, 0))
            stated_size, stated_seconds = _number(script, b"filesize"), _number(script, b"duration")
        place += 11 + length + 4
    return Account(ends=ended or stated_size == size, states_length=stated_seconds > 0)


def _ends_sequence(first: int, second: int) -> bool:
    is_enhanced = first & 0x80
    return (first & 0x0F) == 2 if is_enhanced else (first & 0x0F, second) == (7, 2)


def _number(script: bytes, name: bytes) -> float:
    """A number among a file's metadata; 0 if they don't have it."""
    place = script.find(name + b"\0")
    value = script[place + len(name) + 1 :][:8]
    return float(struct.unpack(">d", value)[0]) if place >= 0 and len(value) == 8 else 0.0
