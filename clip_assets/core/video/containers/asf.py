"""ASF, of which WMV is one: a header that counts data packets, all of one size (Microsoft's ASF specification)."""

from __future__ import annotations

from typing import BinaryIO
from uuid import UUID

import numpy as np

from clip_assets.core.video.containers.account import Account

HEADER = UUID("75B22630-668E-11CF-A6D9-00AA0062CE6C").bytes_le
FILE_PROPERTIES = UUID("8CABDCA1-A947-11CF-8EE4-00C00C205365").bytes_le
DATA = UUID("75B22636-668E-11CF-A6D9-00AA0062CE6C").bytes_le

DATA_HEADER_BYTES = 50

# Of the whole data packets that are looked at together.
CHUNK_BYTES = 2**22


def asf_account(file: BinaryIO, size: int) -> Account:
    """Whether all data packets are there that the header promises.

    Args:
        file: The file.
        size: Its size in bytes.
    """
    file.seek(0)
    if file.read(16) != HEADER:
        return Account()
    header_bytes = int.from_bytes(file.read(8), "little")
    header = file.read(min(header_bytes, size) - 24)
    place = header.find(FILE_PROPERTIES)
    file.seek(header_bytes)
    if place < 0 or file.read(16) != DATA:
        return Account()
    properties = header[place : place + 104]
    promised, flags, least, most = (
        int.from_bytes(properties[start : start + length], "little")
        for start, length in ((56, 8), (88, 4), (92, 4), (96, 4))
    )
    is_live = flags & 1
    if is_live or not promised or least != most or not least:
        return Account()
    start = header_bytes + DATA_HEADER_BYTES
    held = min((size - start) // least, promised)
    whole = held - _blank_packets(file, start, held, least)
    if whole < promised:
        ends_early = "the file ends early" if held < promised else "packets are missing"
        return Account(
            f"{ends_early}: it holds {whole} of the {promised} data packets that its header promises",
            within=held == promised,
        )
    return Account(ends=True)


def _blank_packets(file: BinaryIO, start: int, count: int, size: int) -> int:
    """Data packets that begin with zeros, as none does."""
    blank = 0
    together = max(CHUNK_BYTES // size, 1)
    file.seek(start)
    for first in range(0, count, together):
        data = np.frombuffer(file.read(min(together, count - first) * size), dtype=np.uint8).reshape(-1, size)
        blank += int(np.count_nonzero(~data[:, :4].any(axis=1)))
    return blank
