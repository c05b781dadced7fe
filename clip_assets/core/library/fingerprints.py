"""What tells a video's content apart from any other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.library.regular_files import check_is_file

FINGERPRINT_BYTES = 4 * 2**20
"""Most bytes of a file that its fingerprint reads; a smaller file is read whole."""

_FINGERPRINT_CHUNKS = 16


def fingerprint(path: Path) -> str:
    """What tells a file's content apart, read in milliseconds: 64 hexadecimal digits.

    SHA-256 over the size (8 bytes, big-endian) and the content: all of it up to ``FINGERPRINT_BYTES``, else 16 chunks
    of 256 KiB, evenly spaced, the first at the start and the last at the end of the file. It misses a change that
    keeps the size and all of those chunks; of a file of 1 GiB they are 1/256. Name and times don't count.

    Raises:
        VideoUnreadableError: The file is missing, is no file (a pipe, a device), or can't be read.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return digest_of_parts(size, (_read(file, *part) for part in parts_that_tell(size)))
    except OSError as error:
        raise VideoUnreadableError(f"{path.absolute()} can't be read: {error.strerror}.") from error


def parts_that_tell(size: int) -> list[tuple[int, int]]:
    """From where to before where a file of that size is read for its fingerprint."""
    if size <= FINGERPRINT_BYTES:
        return [(0, size)]
    chunk = FINGERPRINT_BYTES // _FINGERPRINT_CHUNKS
    starts = (i * (size - chunk) // (_FINGERPRINT_CHUNKS - 1) for i in range(_FINGERPRINT_CHUNKS))
    return [(start, start + chunk) for start in starts]


def digest_of_parts(size: int, parts: Iterable[bytes]) -> str:
    """The fingerprint of a file of that size, of which `parts_that_tell` were read."""
    digest = hashlib.sha256(size.to_bytes(8, "big"))
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
