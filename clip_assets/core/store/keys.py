"""Partition keys to directories: readable where it is safe, different for different keys, never outside the root."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

_MAX_NAME_BYTES = 255
_KEPT_BYTES = 180
_RESERVED = re.compile(
    r"""
      [\x00-\x1f\x7f-\x9f\ud800-\udfff]                           # control characters, unpaired surrogates
    | [%<>:"|?*\\]                                                # the escape itself, reserved on Windows
    | [. ]\Z                                                      # '.' and '..'; dropped by Windows
    | \.(?=(?:npy|pkl|jpg|png|json|tmp)\Z)                        # names like those of the store's own files
    | \A(?=(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)).       # devices on Windows
    """,
    re.VERBOSE | re.IGNORECASE,
)


@lru_cache(maxsize=4096)  # of very many keys all assets are looked at together
def escape_key(key: str) -> str:
    """The directory of a partition key, relative to its asset's: a different one for each key, never above or beside.

    Ordinary keys stay as they are. What a file system could misread is written ``%XX`` for each byte of its UTF-8; an
    empty part is a lone ``%``; a part whose name would be over 255 bytes is cut and ends in ``%-`` and the SHA-256 of
    the whole part, which no escape looks like.
    """
    return "/".join(map(_escape_part, key.split("/")))


def _escape_part(part: str) -> str:
    escaped = _RESERVED.sub(lambda match: "".join(f"%{byte:02X}" for byte in _utf8(match[0])), part) or "%"
    name = escaped.encode()
    if len(name) <= _MAX_NAME_BYTES:
        return escaped
    return name[:_KEPT_BYTES].decode(errors="ignore") + "%-" + hashlib.sha256(_utf8(part)).hexdigest()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
