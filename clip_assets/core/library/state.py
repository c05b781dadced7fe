"""What is remembered between two looks at the library, in files that the name of the newest one vouches for.

A file is never changed: a new state is a new file, named by its content. Whoever keeps the name (a sensor's cursor,
which Dagster commits together with what the sensor asked for) decides which state counts, so that a look that dies
half-way is as if it had never been. A lost file costs only a second look at each video.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path

from clip_assets.core.library.changes import KnownVideo, Sighting


@dataclass(frozen=True)
class LibraryState:
    """What is remembered.

    Attributes:
        known: Videos whose results were asked for, by key.
        sightings: New and changed videos that may still be written to, by key.
    """

    known: Mapping[str, KnownVideo] = field(default_factory=dict)
    sightings: Mapping[str, Sighting] = field(default_factory=dict)


class LibraryStates:
    """States in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> LibraryState:
        """The state of that name; an empty one where its file is lost or damaged."""
        try:
            data = (self._folder / f"{name}.json").read_bytes()
        except OSError:
            return LibraryState()
        if _name(data) != name:
            return LibraryState()
        content = json.loads(data)
        return LibraryState(
            known={key: KnownVideo(*values) for key, values in content["known"].items()},
            sightings={key: Sighting(*values) for key, values in content["sightings"].items()},
        )

    def save(self, state: LibraryState, current: str) -> str:
        """Write a state; its name. Of the others, only the one named ``current`` stays.

        Raises:
            OSError: The file can't be written.
        """
        content = {
            "known": {key: astuple(video) for key, video in state.known.items()},
            "sightings": {key: astuple(sighting) for key, sighting in state.sightings.items()},
        }
        data = json.dumps(content, separators=(",", ":")).encode()
        name = _name(data)
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob("*.json"):
            if path.stem not in (name, current):
                path.unlink(missing_ok=True)
        if name != current:
            temporary = self._folder / f"{name}.{os.getpid()}.tmp"
            temporary.write_bytes(data)
            temporary.replace(self._folder / f"{name}.json")
        return name


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
