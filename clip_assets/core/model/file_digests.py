"""The SHA-256 of files that a model is made of, each computed once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from clip_assets.core.errors import ModelError
from clip_assets.core.user_cache import recall, remember

_REMEMBERED = "weights_sha256"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits.

    Computed once per (path, size, time of change) and remembered in the user's cache folder, where that is writeable.

    Raises:
        ModelError: The file can't be read.
    """
    path = Path(path).absolute()
    try:
        stat = path.stat()
        known = recall(_REMEMBERED).get(str(path), {})
        state = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        if known.items() >= state.items():
            sha256: str = known["sha256"]
            return sha256
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"The file {path} of a model can't be read: {error}.") from error
    remember(_REMEMBERED, **{str(path): state | {"sha256": sha256}})
    return sha256
