"""`clip-assets dev`: a taken port, and that all processes end with the command, however it is told to end."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clip_assets.cli.dev import HOST, dagster_service, free_port, own_port
from clip_assets.core.errors import SettingsError
from clip_assets_tests.making.server import wait_until

# A service that ignores all polite requests, and one process below it that does as well.
STUBBORN = """
import os, signal, socket, subprocess, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if len(sys.argv) > 2:
    subprocess.Popen([sys.executable, __file__, sys.argv[1]])
open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
if len(sys.argv) > 2:
    server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
while True:
    time.sleep(1)
"""
COMMAND = """
import sys
from clip_assets.cli import dev
dev.SECONDS_TO_END = 0.5
services = [dev.Service([sys.executable, *sys.argv[1:]], int(sys.argv[3]), "page")]
sys.exit(dev.run_together(services, lambda line: print(line, flush=True)))
"""


def _port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
        return port


def _is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells processes by /proc")
@pytest.mark.parametrize(
    ("number", "through_make"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGINT, True), (signal.SIGTERM, True)],
    ids=["Ctrl-C", "SIGTERM", "Ctrl-C of make", "SIGTERM of make in a script's background"],
)
def test_every_process_ends_with_the_command(tmp_path: Path, number: signal.Signals, through_make: bool) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "command.py").write_text(COMMAND)
    pids = tmp_path / "pids"
    pids.mkdir()
    arguments = [str(tmp_path / "command.py"), str(tmp_path / "stubborn.py"), str(pids), str(_port())]
    (tmp_path / "Makefile").write_text(f"dev:\n\t@exec {shlex.join([sys.executable, *arguments])}\n")
    command = ["make", "-C", str(tmp_path), "dev"] if through_make else [sys.executable, *arguments]
    in_background = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"] if through_make and number == signal.SIGTERM else []
    process = subprocess.Popen([*in_background, *command], start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [next(line for line in iter(process.stdout.readline, "") if line.startswith("Open"))]
    assert lines == [f"Open http://{HOST}:{arguments[-1]}/page\n"]
    wait_until(lambda: len(list(pids.iterdir())) == 2, 30, "both processes")
    process.send_signal(number)
    process.wait(20)
    wait_until(lambda: not any(_is_alive(int(path.name)) for path in pids.iterdir()), 5, "the end of both")


def test_a_taken_port_is_passed_over() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert port < free_port(port) < port + 50


def test_two_that_begin_at_once_have_ports_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    wanted = _port()
    with own_port(wanted) as first, own_port(wanted) as second:
        assert first < second == free_port(second)
    with own_port(wanted) as again:
        assert again == first


def test_the_page_to_open_is_the_graph_of_the_assets_group() -> None:
    assert dagster_service(3000, "films").address.endswith(":3000/locations/clip_assets/asset-groups/films/lineage")


def test_no_free_port_is_a_wrong_setting() -> None:
    with pytest.raises(SettingsError, match=r"None of the ports 65536 to \d+ is free. Name another one: --port"):
        free_port(65536)
