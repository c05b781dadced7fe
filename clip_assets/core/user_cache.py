"""Small things that are worth remembering from one process to the next, in the user's cache folder."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def recall(name: str) -> dict[str, Any]:
    """What was remembered under ``name``, as JSON has it; empty if that is nothing, or the file is damaged."""
    try:
        return dict(json.loads(_path(name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def remember(name: str, **values: Any) -> None:
    """Add to what is remembered under ``name``; a folder that can't be written costs time, not results."""
    path = _path(name)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as temporary:
            part = Path(temporary) / path.name
            part.write_text(json.dumps(recall(name) | values, indent=1), encoding="utf-8")
            part.replace(path)


def user_cache_folder() -> Path:
    """Where the package keeps what can be made again, in the user's folder for such."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clip_assets"


def _path(name: str) -> Path:
    return user_cache_folder() / f"{name}.json"
