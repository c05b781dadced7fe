"""What tells a video's content apart from any other."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

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
            digest = hashlib.sha256(size.to_bytes(8, "big"))
            if size <= FINGERPRINT_BYTES:
                digest.update(file.read())
            else:
                chunk = FINGERPRINT_BYTES // _FINGERPRINT_CHUNKS
                for i in range(_FINGERPRINT_CHUNKS):
                    file.seek(i * (size - chunk) // (_FINGERPRINT_CHUNKS - 1))
                    digest.update(file.read(chunk))
    except OSError as error:
        raise VideoUnreadableError(f"{path.absolute()} can't be read: {error.strerror}.") from error
    return digest.hexdigest()
