"""GIF: blocks of parts, the last one a mark of the end (GIF89a, section 12 and following)."""

from __future__ import annotations

from typing import BinaryIO

from clip_assets.core.video.containers.account import Account

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
SCREEN_BYTES, IMAGE_BYTES = 13, 10


def gif_account(file: BinaryIO, size: int) -> Account:
    """Whether blocks follow each other up to the mark of the end.

    Args:
        file: The file.
        size: Its size in bytes.
    """
    file.seek(0)
    screen = file.read(SCREEN_BYTES)
    _skip_colours(file, screen[10])
    while (place := file.tell()) < size:
        kind = file.read(1)[0]
        if kind == TRAILER:
            return Account(ends=True)
        if kind == EXTENSION:
            file.seek(1, 1)
        elif kind == IMAGE:
            _skip_colours(file, file.read(IMAGE_BYTES - 1)[-1:].ljust(1, b"\0")[0])
            file.seek(1, 1)
        else:
            return Account(f"the file ends early, or is broken, {size - place} of {size} bytes before its end")
        while part := file.read(1):
            if part == b"\0":
                break
            file.seek(part[0], 1)
    return Account("the file ends early: the mark of its end is missing")


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, 1)
