"""decord: right where it serves, refused where it would be wrong, stopped where it hangs."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_assets.core.errors import DecoderFailedError, DecoderRefusedError, VideoTimeoutError
from clip_assets.core.video import decode, probe
from clip_assets.core.video import decord_decoder as video_decord
from clip_assets_tests.making import corpus
from clip_assets_tests.making.corpus import Clip

HANGING_DECORD = """
import time
from pathlib import Path

class VideoReader:
    def __init__(self, *args, **options):
        Path(__file__).with_name("hanging").touch()
        time.sleep(600)
"""

needs_decord = pytest.mark.skipif(
    importlib.util.find_spec("decord") is None, reason="decord has no wheel for this platform"
)

SERVED: dict[str, Callable[[Path], Clip]] = {
    "constant.mp4": corpus.constant_rate,
    "constant.mkv": corpus.constant_rate,
    "b_frames.mp4": corpus.b_frames,
    "open_gop.mp4": corpus.open_gop,
    "variable.mp4": corpus.variable_rate,
    "ntsc.mp4": corpus.ntsc_rate,
    "hevc.mp4": corpus.hevc,
    "odd_size.mp4": corpus.odd_size,
    "single.mp4": corpus.single_frame,
}

REFUSED: dict[str, tuple[Callable[[Path], Clip], str]] = {
    "rotated.mp4": (lambda path: corpus.turned(path, "90"), "90 degrees"),
    "edit_list.mp4": (corpus.edit_list, "edit list"),
    "late.mp4": (corpus.nonzero_start, "2000.000 ms"),
    "constant.ts": (corpus.constant_rate, "mpegts"),
    "constant.avi": (corpus.constant_rate, "avi"),
    "av1.mp4": (corpus.av1, "decord can't read it"),
}


@needs_decord
@pytest.mark.parametrize("name", SERVED)
def test_both_decoders_agree_on_indices_and_pictures(name: str, tmp_path: Path) -> None:
    clip = SERVED[name](tmp_path / name)
    wanted = np.arange(len(clip.numbers))[::2]
    with decode(clip.path, wanted, decoder="decord") as frames:
        by_decord = list(frames)
    with decode(clip.path, wanted) as frames:
        by_pyav = list(frames)
    assert [frame.index for frame in by_decord] == [frame.index for frame in by_pyav] == wanted.tolist()
    for one, other in zip(by_decord, by_pyav, strict=True):
        assert np.abs(one.rgb.astype(np.int16) - other.rgb).mean() < 2


@needs_decord
@pytest.mark.parametrize("name", REFUSED)
def test_decord_refuses_what_it_gets_wrong_with_the_reason(name: str, tmp_path: Path) -> None:
    writer, reason = REFUSED[name]
    clip = writer(tmp_path / name)
    with (
        pytest.raises(DecoderRefusedError, match=reason),
        decode(clip.path, np.array([0]), decoder="decord") as frames,
    ):
        next(frames)


@needs_decord
def test_decord_refuses_a_file_whose_frames_or_times_it_tells_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = corpus.edit_list(tmp_path / "edit_list.mp4")
    monkeypatch.setattr(video_decord, "_reason_to_refuse", lambda probe: "")
    with (
        pytest.raises(DecoderRefusedError, match=r"decord counts|times are off|can't read"),
        decode(clip.path, np.array([0]), decoder="decord") as frames,
    ):
        next(frames)


def test_decord_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = corpus.constant_rate(tmp_path / "constant.mp4")
    monkeypatch.setattr(video_decord, "find_spec", lambda name: None)
    with pytest.raises(DecoderRefusedError, match="isn't installed"):
        decode(clip.path, np.array([0]), decoder="decord")


@needs_decord
def test_decord_fails_on_a_corrupt_packet_instead_of_repeating_a_frame(tmp_path: Path) -> None:
    clip = corpus.corrupt_packet(tmp_path / "corrupt.mp4")
    unnoticed = replace(probe(clip.path), damage="")
    with (
        pytest.raises(DecoderFailedError, match="of the 30 frames asked for were decoded, then decord says"),
        decode(unnoticed, np.arange(30), decoder="decord", timeout_seconds=20) as frames,
    ):
        list(frames)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that decoding starts."""
    processes: list[subprocess.Popen[bytes]] = []

    class Remembered(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            processes.append(self)

    monkeypatch.setattr(video_decord.subprocess, "Popen", Remembered)
    return processes


@pytest.fixture
def decord_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes started from here on, decord hangs when it opens a file."""
    (tmp_path / "decord.py").write_text(HANGING_DECORD)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))


@pytest.mark.usefixtures("decord_hangs")
def test_a_decoder_that_hangs_is_killed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[subprocess.Popen[bytes]]
) -> None:
    clip = corpus.constant_rate(tmp_path / "constant.mp4")
    monkeypatch.setattr(video_decord, "find_spec", lambda name: True)
    with (
        pytest.raises(VideoTimeoutError, match=r"within 0\.5 s"),
        decode(clip.path, np.array([0]), decoder="decord", timeout_seconds=0.5) as frames,
    ):
        next(frames)
    assert started[0].poll() == -signal.SIGKILL, "by itself it would end after ten minutes"


DIES_AT_ONCE = "import os; os._exit(3)"

DIES_IN_MID_FRAME = """
import array, os, sys
times = array.array("d", (k / 25 for k in range(30)))
frame = b'{"shape": [64, 96, 3]}\\n' + bytes(64 * 96)
os.write(1, b'{"count": 30}\\n' + times.tobytes() + frame)
os._exit(3)
"""


@pytest.mark.parametrize("script", [DIES_AT_ONCE, DIES_IN_MID_FRAME], ids=["at once", "in mid-frame"])
def test_a_decoder_that_dies_fails_its_video(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = corpus.constant_rate(tmp_path / "constant.mp4")
    monkeypatch.setattr(video_decord, "find_spec", lambda name: True)
    monkeypatch.setattr(video_decord, "WORKER_COMMAND", (sys.executable, "-c", script))
    with (
        pytest.raises(DecoderFailedError, match="ended with exit code 3"),
        decode(clip.path, np.array([0]), decoder="decord") as frames,
    ):
        next(frames)


@needs_decord
def test_closing_the_stream_ends_the_child(tmp_path: Path, started: list[subprocess.Popen[bytes]]) -> None:
    clip = corpus.constant_rate(tmp_path / "constant.mp4")
    frames = decode(clip.path, np.arange(30), decoder="decord")
    next(frames)
    assert started[0].poll() is None
    frames.close()
    assert started[0].poll() is not None


PARENT = """
import subprocess, sys
from pathlib import Path
import numpy as np
from clip_assets.core.video import decord_decoder as video_decord
from clip_assets.core.video import decode

class Announced(subprocess.Popen):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        print(self.pid, flush=True)

video_decord.subprocess.Popen = Announced
next(decode(Path(sys.argv[1]), np.arange(30), decoder="decord"))
"""


@pytest.mark.usefixtures("decord_hangs")
@pytest.mark.skipif(sys.platform == "win32", reason="asks for POSIX process states")
def test_a_child_that_hangs_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    clip = corpus.constant_rate(tmp_path / "constant.mp4")
    command = [sys.executable, "-c", PARENT, str(clip.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_until((tmp_path / "hanging").exists)
        assert is_running(child)
        parent.kill()
    wait_until(lambda: not is_running(child))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # a zombie that nobody waits for has ended too
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
