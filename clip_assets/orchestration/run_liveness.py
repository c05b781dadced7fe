"""Telling a run that works from one whose process is gone: a file that its process holds locked.

Dagster's own launcher hears of a run's end from the run, or from the code server that started it. When both are killed,
as with the power, nobody tells, and the run counts as running for a day. A lock goes with its process, whatever
ends it, and can't be mistaken for another process's as a process id can.
"""

import os
import secrets
import sys
from pathlib import Path

import dagster as dg

if sys.platform != "win32":
    import fcntl

GONE = "The run's process is gone."


class Sign:
    """A sign of life in a folder, until it is taken down or its process ends; none where files can't be locked."""

    def __init__(self, folder: Path) -> None:
        self._path: Path | None = None
        if sys.platform == "win32":
            return
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{os.getpid()}-{secrets.token_hex(4)}"
        hidden = folder / f".{name}"
        self._file = hidden.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._path = hidden.rename(folder / f"{name}.alive")  # never seen unlocked

    def take_down(self) -> None:
        """End it, as when the work is done."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._path = None


def signs_folder(instance: dg.DagsterInstance, run_id: str) -> Path:
    """Where the processes of a run put their signs."""
    return Path(instance.storage_directory()) / run_id / "alive"


def is_abandoned(folder: Path) -> bool:
    """Whether there are signs of processes, all of which are gone."""
    signs = list(folder.glob("*.alive"))
    return bool(signs) and not any(map(_is_held, signs))


def _is_held(path: Path) -> bool:
    if sys.platform == "win32":
        return True
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, or just taken down
        return True
    return False
