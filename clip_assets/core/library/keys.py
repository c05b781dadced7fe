"""Partition keys: what may be one, and how keys and folders lie to each other.

A partition key is a video's path relative to the library's root, with forward slashes and the extension, in exactly
the characters that the file system gives (``sports/lifting.mp4``). Nothing is escaped or normalised, so key and file
name each other.
"""

from __future__ import annotations

import os
import re

from clip_assets.core.errors import PartitionKeyError

MAX_KEY_BYTES = 2000
"""Longest partition key, in UTF-8: an index row of PostgreSQL, in which Dagster may keep it, holds 2704 bytes."""

MAX_PART_BYTES = 255
"""Longest part of a partition key, in UTF-8: what Linux's file systems allow, so that a key can move there."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNDECODABLE = re.compile("[\ud800-\udfff]")
_NO_NAMES = frozenset({"", ".", ".."})


def validate_key(key: str) -> None:
    """Refuse what can't be a partition key.

    Refused are the empty key, absolute ones, empty, ``.`` and ``..`` parts (so that no key leaves the root), control
    characters and line breaks (which the UI doesn't show and logs can't hold), bytes that are no UTF-8 (which no
    database stores), more than ``MAX_KEY_BYTES``, parts of more than ``MAX_PART_BYTES``, and, where it separates
    folders, the backslash. All else is allowed. Even ``...``, ``,`` and ``[``, with which Dagster's UI writes
    selections: it quotes keys that hold them, and ``--partition`` takes a key as it is; only ``--partition-range``
    can't name a key with ``...``.

    Raises:
        PartitionKeyError: The key is refused; the message says why.
    """
    reason = _refusal(key)
    if reason:
        raise PartitionKeyError(
            f"{key[:300]!r} can't be a partition key: {reason}. A key is a video's path relative to the library, like "
            "sports/lifting.mp4. Rename the file or its folder."
        )


def is_under(key: str, folder: str) -> bool:
    """Whether a key lies in a folder (or is it); every key lies in the empty one."""
    folder = folder.strip("/")
    return not folder or key == folder or key.startswith(f"{folder}/")


def _refusal(key: str) -> str:
    """Why ``key`` can't be a partition key; empty if it can."""
    unprintable = _UNPRINTABLE.search(key)
    if unprintable:
        return f"it holds a control character or line break, {unprintable[0]!r}"
    if _UNDECODABLE.search(key):
        return "it holds bytes that are no UTF-8"
    if os.sep != "/" and os.sep in key:
        return f"it holds {os.sep}, which separates folders here; write / instead"
    if key.startswith("/"):
        return "it is absolute"
    parts = key.split("/")
    if not _NO_NAMES.isdisjoint(parts):
        return "it is empty, or one of its parts is, or is '.' or '..'"
    if 4 * len(key) <= MAX_PART_BYTES:  # a character takes four bytes at most
        return ""
    lengths = [len(part.encode()) for part in parts]
    if max(lengths) > MAX_PART_BYTES:
        return f"one of its parts has {max(lengths)} bytes in UTF-8, and at most {MAX_PART_BYTES} are allowed"
    if sum(lengths) + len(lengths) - 1 > MAX_KEY_BYTES:
        return f"it has {len(key.encode())} bytes in UTF-8, and at most {MAX_KEY_BYTES} are allowed"
    return ""
