"""MPEG-PS: packs and packets, each with its length (ITU-T H.222.0, 2.5.3; ISO/IEC 11172-1, 2.4.3)."""

from __future__ import annotations

from typing import BinaryIO

from clip_assets.core.video.containers.account import Account

START = b"\0\0\1"
END, PACK, LEAST_CODE = 0xB9, 0xBA, 0xBB

# Zeros between packets, as up to the end of a disc's sector.
PADDING_BYTES = 2048

# Of MPEG-1 and of MPEG-2, without what may be stuffed behind.
PACK_BYTES = {1: 12, 2: 14}


def ps_account(file: BinaryIO, size: int, video: int) -> Account:
    """Whether packets follow each other to the end of the file, and the video doesn't go on in another stream.

    Args:
        file: The file.
        size: Its size in bytes.
        video: Id of the video stream, 0xE0 to 0xEF.
    """
    place = _first_pack(file)
    if place is None:
        return Account()
    spans: dict[int, tuple[int, int]] = {}
    ended = False
    while place < size:
        file.seek(place)
        header = file.read(14)
        length = _length(header)
        if not length:
            following = _after_zeros(file, place, size)
            if following is None:
                return Account(
                    f"the file is broken from byte {place} on, {size - place} bytes before its end", within=True
                )
            place = following
            continue
        code = header[3]
        if 0xE0 <= code <= 0xEF:
            spans[code] = (spans.get(code, (place, place))[0], place)
        ended = code == END
        place += length
    if place > size:
        return Account(f"the file ends early, inside a packet of which {place - size} bytes are missing")
    first, last = spans.get(video, (0, size))
    others = [code for code, span in spans.items() if code != video and (span[0] > last or span[1] < first)]
    if others:
        return Account(f"the video goes on in another stream, of id 0x{others[0]:x}, which isn't read")
    return Account(ends=ended)


def _first_pack(file: BinaryIO) -> int | None:
    """Where the first pack begins; None where packets lie in the sectors of a disc's image."""
    file.seek(0)
    head = file.read(2**16)
    place = head.find(START + bytes([PACK]))
    return None if place < 0 or head.startswith(b"RIFF") else place


def _length(header: bytes) -> int:
    """Bytes of what begins with this; 0 if nothing does that is known."""
    if len(header) < 4 or header[:3] != START or header[3] < END:
        return 0
    if header[3] == END:
        return 4
    if header[3] >= LEAST_CODE:
        return 6 + int.from_bytes(header[4:6], "big")
    if len(header) < PACK_BYTES[2]:
        return PACK_BYTES[1]
    return PACK_BYTES[2] + header[13] % 8 if header[4] >> 6 == 1 else PACK_BYTES[1]


def _after_zeros(file: BinaryIO, place: int, size: int) -> int | None:
    """Where a packet or the end of the file comes behind a few zeros; None if neither does."""
    file.seek(place)
    data = file.read(PADDING_BYTES + 4)
    zeros = len(data) - len(data.lstrip(b"\0"))
    if place + zeros == size and zeros <= PADDING_BYTES:
        return size
    return place + zeros - 2 if zeros > 2 and data[zeros - 2 : zeros + 1] == START else None
