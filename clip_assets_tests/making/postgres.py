"""A PostgreSQL server on loopback, which ends with the process that started it, however that one ends."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = "dagster"

UNPRIVILEGED = "nobody"
"""Whom the server runs as where the tests run as root, which PostgreSQL refuses."""

# Its input is a pipe that the tests hold open: its end is theirs, and then the server's, and that of its files.
_WATCH = '"$@" <&- & read -r _; kill -INT $!; wait $!; rm -rf "$PGDATA"'

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "log_connections": "on",
    "log_line_prefix": "",
}


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        port: Where it listens on 127.0.0.1.
        password: That of `USER`, who may do everything.
        log: What it writes; a line for each connection among it.
    """

    port: int
    password: str
    log: Path

    def new_database(self, name: str) -> None:
        """Make an empty one."""
        with contextlib.closing(self._connect()) as connection:
            connection.autocommit = True
            connection.cursor().execute(f'CREATE DATABASE "{name}"')

    def connections(self, database: str) -> int:
        """How many were opened to a database so far."""
        return len(re.findall(rf"connection authorized: .*database={database}\b", self.log.read_text()))

    def close_connections(self, database: str) -> int:
        """End what is connected to a database, as a restart or a firewall does; how many there were."""
        with contextlib.closing(self._connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
            return len(cursor.fetchall())

    def _connect(self) -> Any:
        import psycopg2

        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password, dbname="postgres", connect_timeout=10
        )


def why_not() -> str:
    """Why there can't be a server here; empty where there can."""
    try:
        import dagster_postgres  # noqa: F401
    except ImportError:
        return "dagster-postgres isn't installed (the extra postgres)"
    return "" if _programs() else "PostgreSQL isn't installed: no initdb and postgres (apt install postgresql)"


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Serve until the end, or until this process is gone."""
    programs = _programs()
    assert programs, why_not()
    data = Path(tempfile.mkdtemp(prefix="clip_assets_postgres_"))  # not in pytest's, which others can't enter
    password, who = secrets.token_hex(16), _other_user()
    (data / "password").write_text(password)
    if who:
        for path in (data, data / "password"):
            shutil.chown(path, who["user"], who["group"])
    initdb = [programs / "initdb", "--no-locale", "-E", "UTF8", "-U", USER, "-A", "scram-sha-256", "--no-sync"]
    made = subprocess.run(
        [*initdb, "--pwfile", data / "password", "-D", data / "data"], cwd="/", capture_output=True, text=True, **who
    )
    assert made.returncode == 0, made.stderr
    found = Postgres(_free_port(), password, data / "log")
    try:
        with serving(found):
            yield found
    finally:
        shutil.rmtree(data, ignore_errors=True)  # where another may not remove the folder itself


@contextmanager
def serving(server: Postgres) -> Iterator[None]:
    """Serve what a server has stored, until the end, or until this process is gone."""
    programs, data = _programs(), server.log.parent
    assert programs
    options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
    command = [programs / "postgres", "-D", data / "data", "-p", str(server.port), *options]
    with server.log.open("ab") as output:
        watch = subprocess.Popen(
            ["/bin/sh", "-c", _WATCH, "sh", *command],
            cwd="/",
            env={**os.environ, "PGDATA": str(data)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **_other_user(),
        )
    try:
        _wait_for(server, server.log)
        yield
    finally:
        watch.communicate(timeout=30)


def stop(server: Postgres) -> None:
    """Shut it down, as for an update; what it stored stays, for `serving`."""
    running = server.log.parent / "data" / "postmaster.pid"
    os.kill(int(running.read_text().split()[0]), signal.SIGINT)
    end = time.monotonic() + 30
    while running.exists():
        assert time.monotonic() < end, server.log.read_text()
        time.sleep(0.05)


def _wait_for(server: Postgres, log: Path) -> None:
    import psycopg2

    end = time.monotonic() + 30
    while True:
        try:
            return server._connect().close()
        except psycopg2.OperationalError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs: what PATH names, else the newest where distributions put them."""
    on_path = shutil.which("initdb")
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    folders = [*([Path(on_path).resolve().parent] if on_path else []), *versions]
    return next((folder for folder in folders if {"initdb", "postgres"} <= {p.name for p in folder.iterdir()}), None)


def _other_user() -> dict[str, Any]:
    """Of `subprocess.run` whom to run as; nothing where the present user will do."""
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam(UNPRIVILEGED)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
