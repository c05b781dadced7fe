"""Copies on this machine: bounded, shared, whole or absent."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_assets.core.errors import VideoNotFetchedError
from clip_assets.core.library.video_cache import VideoCache

OTHER_PROCESS = """
import os, sys, time
from pathlib import Path
from clip_assets.core.library.video_cache import VideoCache

def download(file):
    print("downloads", flush=True)
    for _ in range(int(sys.argv[3])):
        os.pwrite(file, b"x", 0)
        time.sleep(0.05)
    os.pwrite(file, b"x" * 60, 0)

with VideoCache(Path(sys.argv[1]), 100).held(sys.argv[2], 60, download) as path:
    print("holds", path.read_bytes() == b"x" * 60, flush=True)
    sys.stdin.readline()
"""


def writes(data: bytes, times: list[int] | None = None) -> Callable[[int], None]:
    def download(file: int) -> None:
        if times is not None:
            times.append(1)
        os.pwrite(file, data, 0)

    return download


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*") if not path.name.startswith("."))


def other_process(folder: Path, name: str, steps: int = 0) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", OTHER_PROCESS, str(folder), name, str(steps)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_what_was_used_last_stays_and_the_others_make_room(tmp_path: Path) -> None:
    cache, times = VideoCache(tmp_path, 100), []
    for name in ("a", "b", "a", "c", "a"):  # three of 40 bytes don't fit
        with cache.held(name, 40, writes(name.encode() * 40, times)) as path:
            assert path.read_bytes() == name.encode() * 40
        os.utime(path, ns=(len(times) * 10**9, len(times) * 10**9 + (name == "a")))
    assert len(times) == 3
    assert names(tmp_path) == ["a", "c"]


def test_what_is_in_use_stays_even_beyond_the_limit(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path, 50)  # less than two of them
    with cache.held("a", 40, writes(b"a" * 40)) as first:
        assert not cache.has_room(40)
        with cache.held("b", 40, writes(b"b" * 40)) as second:
            assert (first.read_bytes(), second.read_bytes()) == (b"a" * 40, b"b" * 40)
    assert cache.has_room(40)
    with cache.held("c", 40, writes(b"c" * 40)):
        assert names(tmp_path) == ["c"]
    with cache.held("larger", 400, writes(b"d" * 400)) as path:
        assert len(path.read_bytes()) == 400
    assert names(tmp_path) == []  # it doesn't stay beyond the limit


def test_two_processes_download_once_and_respect_each_other(tmp_path: Path) -> None:
    other = other_process(tmp_path, "a", steps=10)
    try:
        assert line(other) == "downloads"
        times: list[int] = []
        cache = VideoCache(tmp_path, 100)
        with cache.held("a", 60, writes(b"wrong", times)) as path:  # waits for the other's
            assert path.read_bytes() == b"x" * 60
        assert not times
        assert line(other) == "holds True"
        with cache.held("b", 60, writes(b"b" * 60)):
            assert names(tmp_path) == ["a", "b"]  # the other one reads it
    finally:
        other.communicate("\n", timeout=20)
    with cache.held("c", 60, writes(b"c" * 60)):
        assert names(tmp_path) == ["c"]


def test_a_kill_in_mid_download_leaves_nothing_that_counts(tmp_path: Path) -> None:
    other = other_process(tmp_path, "a", steps=1000)
    assert line(other) == "downloads"
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert names(tmp_path) == ["a.part"]
    cache = VideoCache(tmp_path, 100)
    with cache.held("b", 60, writes(b"b" * 60)):
        assert names(tmp_path) == ["b"]  # what the other left made room
    with cache.held("a", 30, writes(b"a" * 30)) as path:
        assert path.read_bytes() == b"a" * 30


def test_threads_share_one_download(tmp_path: Path) -> None:
    cache, times, read = VideoCache(tmp_path, 100), [], []

    def use() -> None:
        with cache.held("a", 40, writes(b"a" * 40, times)) as path:
            read.append(path.read_bytes())

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [b"a" * 40] * 8
    assert len(times) == 1


def test_a_failed_download_is_not_there(tmp_path: Path) -> None:
    def fails(file: int) -> None:
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError), VideoCache(tmp_path).held("a", 40, fails):
        pass
    assert names(tmp_path) == []


def test_a_full_disk_is_emptied_of_copies_before_it_is_complained_of(tmp_path: Path) -> None:
    cache = VideoCache(tmp_path)
    with cache.held("old", 40, writes(b"o" * 40)):
        pass

    def fails_until_there_is_room(file: int) -> None:
        if names(tmp_path) != ["a.part"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        os.pwrite(file, b"a" * 40, 0)

    with cache.held("a", 40, fails_until_there_is_room) as path:
        assert path.read_bytes() == b"a" * 40

    def never_fits(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    told = f"no room in {tmp_path} for the 1,040 bytes"
    with pytest.raises(VideoNotFetchedError, match=told), cache.held("b", 1040, never_fits):
        pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = VideoCache(tmp_path / "file")
    for use in (lambda: cache.fingerprint("a"), lambda: cache.held("a", 1, writes(b"a")).__enter__()):
        with pytest.raises(VideoNotFetchedError, match=f"can't be kept in {tmp_path}/file"):
            use()
