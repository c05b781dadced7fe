"""A Redis server on loopback, and whatever else runs beside the tests, all of which end with the tests' process."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from clip_assets_tests.making.server import wait_until

# Its input is a pipe that the tests hold open: its end is theirs, and then that of the whole group.
_WATCH = '"$@" <&- & read -r _; kill -KILL 0'


@dataclass(frozen=True)
class Redis:
    """A running server.

    Attributes:
        port: Where it listens on 127.0.0.1.
        password: Whoever asks needs it.
    """

    port: int
    password: str

    @property
    def url(self) -> str:
        """As Celery takes it."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def why_not() -> str:
    """Why there can't be a fleet of workers here; empty where there can."""
    missing = [name for name in ("celery", "dagster_celery", "redis") if not find_spec(name)]
    if missing:
        return f"{', '.join(missing)}: not installed (the extra celery)"
    return "" if shutil.which("redis-server") else "Redis isn't installed: no redis-server (apt install redis-server)"


def new_server() -> Redis:
    """One that nobody has started yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Redis(free.getsockname()[1], secrets.token_hex(16))


@contextmanager
def serving(server: Redis, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve until the end, or until this process is gone; what it is to remember is in a folder."""
    command = ["redis-server", "--port", str(server.port), "--bind", "127.0.0.1", "--requirepass", server.password]
    command += ["--dir", str(folder), "--appendonly", "yes"]
    with beside(command, folder, {}, folder / "redis.log") as process:
        wait_until(lambda: _answers(server), 30, "Redis")
        yield process


@contextmanager
def beside(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a group of its own, all of which is killed at the end, or when this process is gone.

    Args:
        command: Starts it.
        folder: It works in.
        environment: Of it, beside this process's.
        log: It writes to.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "sh", *command],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End it and what it started, without a chance to say anything."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _answers(server: Redis) -> bool:
    import redis

    try:
        return bool(redis.Redis.from_url(server.url).ping())
    except redis.ConnectionError:
        return False
