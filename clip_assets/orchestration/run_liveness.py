"""Telling a run that works from one whose process is gone, on this host and on others.

Dagster's own launchers hear of a run's end from the run, or from what started it. When both are killed, as with the
power, nobody tells, and the run counts as running for a day. Two signs do:

- A file that the run's process holds locked tells those of the same host at once: a lock goes with its process,
  whatever ends it, and can't be mistaken for another process's as a process id can.
- A pulse tells all hosts of the instance: a text in its database that the run's process replaces every few seconds.
  Whoever sees the same one for half a minute by its own clock takes the process for gone; clocks aren't compared.
"""

import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from weakref import WeakKeyDictionary

import dagster as dg

from clip_assets.orchestration.dagster_storage import InstancePages

if sys.platform != "win32":
    import fcntl

GONE = "The run's process is gone."

PULSE_SECONDS = 5.0
"""From one beat to the next."""

SILENCE_SECONDS = 30.0
"""Of one and the same pulse, after which a run's process counts as gone."""

_COUNTED_SECONDS = 10.0
"""Of the time between two looks what counts as silence at most: whoever looks may have been suspended with all else."""

_REMEMBERED = 1000
"""Pulses that are compared with what they were."""

_HAS_BEGUN = {dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING}
_IS_TO_END = {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE}


class Sign:
    """A sign of life in a folder, until it is taken down or its process ends; none where files can't be locked."""

    def __init__(self, folder: Path) -> None:
        self._path: Path | None = None
        if sys.platform == "win32":
            return
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
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


class Pulse:
    """The beat of a run in this process, from `of` until as many `stop`; one for all that work on the run here.

    Between two beats it looks what others think of the run.

    Attributes:
        says: How far the run is, for people.
    """

    _beating: dict[str, "Pulse"] = {}  # noqa: RUF012 - of the process
    _changing = Lock()

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        self._instance = instance
        self._run_id = run_id
        self.says = ""
        self._beats = (f"{secrets.token_hex(4)}-{number}" for number in count())
        self._users = 0
        self._is_over = False
        self._stopped = Event()
        self._thread = Thread(target=self._beat_on, name=f"pulse of {run_id}", daemon=True)

    @classmethod
    def of(cls, instance: dg.DagsterInstance, run_id: str) -> "Pulse":
        """The run's pulse, which has beaten once."""
        with cls._changing:
            pulse = cls._beating.get(run_id)
            if pulse is None:
                pulse = cls._beating[run_id] = cls(instance, run_id)
                pulse.beat()
                pulse._thread.start()
            pulse._users += 1
            return pulse

    def stop(self) -> None:
        """Leave it; the last one who does stops it, after which the run gives no sign."""
        with self._changing:
            self._users -= 1
            if self._users:
                return
            del self._beating[self._run_id]
        self._stopped.set()
        self._thread.join()
        _pulses(self._instance).remove(self._run_id)

    @property
    def is_over(self) -> bool:
        """Whether others take the run for failed, or want it to end: somebody else has its videos then."""
        return self._is_over

    def beat(self) -> None:
        """Say that the process lives, and look what others say."""
        heard = {"beat": next(self._beats), "host": platform.node(), "process": os.getpid(), "says": self.says}
        _pulses(self._instance).write(self._run_id, json.dumps(heard, ensure_ascii=False))
        run = self._instance.get_run_by_id(self._run_id)
        self._is_over = run is not None and run.status in _IS_TO_END

    def _beat_on(self) -> None:
        while not self._stopped.wait(PULSE_SECONDS):
            try:
                self.beat()
            except Exception:  # noqa: BLE001 - whatever keeps the database away: the next beat tries again
                continue


@dataclass(frozen=True)
class Heard:
    """What a pulse tells beside life.

    Attributes:
        host: Where the process is; empty where there is no pulse.
        process: The process's id there.
        says: How far the run is; empty at first.
    """

    host: str = ""
    process: int = 0
    says: str = ""


def heard(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, Heard]:
    """By run id what its pulse tells."""
    told = {run_id: json.loads(text) for run_id, text in _pulses(instance).read(run_ids).items()}
    return {run_id: Heard(one["host"], one["process"], one["says"]) for run_id, one in told.items()}


@dataclass
class Watch:
    """Looks at pulses time and again.

    Attributes:
        clock: Seconds that only increase.
    """

    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[str, float, float]] = field(default_factory=dict)

    def is_silent(self, run_id: str, read: Callable[[], str | None]) -> bool:
        """Whether a pulse has been the same for too long; one that can't be read, or isn't there, is watched anew.

        Args:
            run_id: Whose.
            read: Gives it, None where there is none.
        """
        before, looked, silence = self._seen.pop(run_id, (None, 0.0, 0.0))
        text, now = read(), self.clock()
        if text is None:
            return False
        silence = silence + min(now - looked, _COUNTED_SECONDS) if text == before else 0.0
        self._seen[run_id] = (text, now, silence)
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return silence >= SILENCE_SECONDS


_watches: WeakKeyDictionary[dg.DagsterInstance, Watch] = WeakKeyDictionary()


def is_abandoned(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run's process is gone: at once where it was this host's, after looks of half a minute where it wasn't.

    A run that gives no sign is left alone.
    """
    signs = list(signs_folder(instance, run.run_id).glob(f"{platform.node()}-*.alive"))
    if signs or run.status not in _HAS_BEGUN:
        return bool(signs) and not any(map(_is_held, signs))
    watch = _watches.setdefault(instance, Watch())
    return watch.is_silent(run.run_id, lambda: _pulses(instance).read([run.run_id]).get(run.run_id))


def signs_folder(instance: dg.DagsterInstance, run_id: str) -> Path:
    """Where the processes of a run put their signs."""
    return Path(instance.storage_directory()) / run_id / "alive"


def _pulses(instance: dg.DagsterInstance) -> InstancePages[str]:
    return InstancePages(instance, "pulse")


def _is_held(path: Path) -> bool:
    if sys.platform == "win32":
        return True
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # locked, or just taken down
        return True
    return False
