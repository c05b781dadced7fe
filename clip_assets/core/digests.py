"""Data versions: digests of what stored bytes depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest(parameters: Mapping[str, Any]) -> str:
    """SHA-256 of parameters that JSON can hold, as 64 hexadecimal digits; the order of keys doesn't matter.

    Raises:
        TypeError: A value is nothing that JSON can hold.
    """
    canonical = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
