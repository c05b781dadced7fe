"""``clip-assets dev``: the pages, Dagster's UI and daemon, as processes that end together with the command."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from filelock import FileLock, Timeout

from clip_assets.core.errors import SettingsError

HOST = "127.0.0.1"
SECONDS_TO_END = 6.0
"""Time that processes get to end by themselves before they are killed."""

_POLL_SECONDS = 0.3
_PORTS_TRIED = 50


@dataclass(frozen=True)
class Service:
    """A server on this machine.

    Attributes:
        command: Starts it; it runs until it is interrupted.
        port: Where it listens once it is ready.
        page: The path of its page that is worth opening.
    """

    command: Sequence[str]
    port: int
    page: str

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/{self.page}"

    def answers(self) -> bool:
        """Whether somebody listens on its port."""
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex((HOST, self.port)) == 0


class _EndedError(Exception):
    """Something asked the command to end."""


def free_port(wanted: int) -> int:
    """The first port from ``wanted`` on that nobody listens on.

    Raises:
        SettingsError: None of the next 50 is free.
    """
    for port in range(wanted, min(wanted + _PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise SettingsError(f"None of the ports {wanted} to {wanted + _PORTS_TRIED - 1} is free. Name another one: --port.")


@contextmanager
def own_port(wanted: int) -> Iterator[int]:
    """A `free_port` that is nobody else's who asks so on this host, until the end of the context.

    A service takes seconds until it listens, in which the port is free for another ``clip-assets dev`` too.
    """
    while True:
        port = free_port(wanted)
        lock = FileLock(Path(tempfile.gettempdir()) / f"clip_assets_port_{port}.lock", mode=0o666)
        try:
            held = lock.acquire(blocking=False)
        except Timeout:
            wanted = port + 1
        else:
            break
    with held:
        yield port


def dagster_service(port: int, group: str) -> Service:
    """Dagster's UI and daemon for the project in the working directory; its page is the graph of the assets' group."""
    superseded = "ignore:Function `dev_command` is superseded"  # by `dg dev`, which needs a project of dg's
    source = ["-w", "workspace.yaml"] if Path("workspace.yaml").exists() else ["-m", "clip_assets.definitions"]
    page = f"locations/clip_assets/asset-groups/{group}/lineage"
    options = ["-h", HOST, "-p", str(port), "--log-level", "warning", *source]
    return Service([sys.executable, "-W", superseded, "-m", "dagster", "dev", *options], port, page)


def browse_service(port: int, dagster: Service) -> Service:
    """The pages of the project in the working directory, which link to Dagster's UI."""
    options = ["--port", str(port), "--dagster", f"http://{HOST}:{dagster.port}", "--quiet"]
    return Service([sys.executable, "-m", "clip_assets.cli", "browse", *options], port, "")


def run_together(services: Sequence[Service], say: Callable[[str], object]) -> int:
    """Run services until one ends, or this process is told to end; then end them all, and what they started.

    Args:
        services: At least one.
        say: Takes a line for the user, as when a service is ready, and all before it are.

    Returns:
        0 when told to end; 1 when a service ended by itself.
    """
    with _signals_as_exception():
        processes = [subprocess.Popen(service.command, start_new_session=True) for service in services]
        starting = list(services)
        try:
            while all(process.poll() is None for process in processes):
                while starting and starting[0].answers():
                    say(f"Open {starting.pop(0).address}")
                    if not starting:
                        say("Ctrl-C ends it.")
                time.sleep(_POLL_SECONDS)
                if _make_was_interrupted():
                    return 0
            return 1
        except _EndedError:
            return 0
        finally:
            end_all(processes)


def end_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Interrupt processes that lead a session of their own, then kill what is left of their groups."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    end = time.monotonic() + SECONDS_TO_END
    for process in processes:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            _kill_group(process)
            process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def _signals_as_exception() -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal raise `_EndedError` once; more of them while all ends are ignored."""

    def end(number: int, frame: FrameType | None) -> None:
        for handled in numbers:
            signal.signal(handled, signal.SIG_IGN)
        raise _EndedError

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _make_was_interrupted() -> bool:
    """Whether the parent is a ``make`` that was interrupted: it doesn't pass that on, waits, and handles it no more."""
    if "MAKELEVEL" not in os.environ:
        return False
    parent = os.getppid()
    try:
        status = Path(f"/proc/{parent}/status").read_text()
    except OSError:  # it is gone, or there is no /proc
        return parent == 1
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    is_make = fields["Name"].strip() in ("make", "gmake")
    handled = int(fields["SigCgt"], 16) | int(fields["SigIgn"], 16)  # ignored, where a script runs it in the background
    return is_make and not handled & 1 << (signal.SIGINT - 1)
