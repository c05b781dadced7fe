"""Digests: data versions, of what stored bytes depend on, and those of the bytes themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from mmap import mmap
from typing import Any


def digest(parameters: Mapping[str, Any]) -> str:
    """SHA-256 of parameters that JSON can hold, as 64 hexadecimal digits; the order of keys doesn't matter.

    Raises:
        TypeError: A value is nothing that JSON can hold.
    """
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def sha256(data: bytes | mmap) -> str:
    """Of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
