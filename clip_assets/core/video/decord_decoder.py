"""Decoding with decord, in a child process that is killed when it delivers nothing: decord hangs on some files."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clip_assets.core.errors import DecoderFailedError, DecoderRefusedError, VideoTimeoutError
from clip_assets.core.records import Crop

if TYPE_CHECKING:
    from io import BufferedReader, BufferedWriter

    from numpy.typing import DTypeLike, NDArray

    from clip_assets.core.records import VideoProbe

# -P: the script's folder isn't searched for modules.
WORKER_COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("decord_worker.py")))

# Of these decord gets pictures or times wrong.
REFUSED_CONTAINERS = ("mpegts", "mpeg", "avi")

TIME_TOLERANCE_MS = 1.0


class DecordDecoder:
    """The frames asked for, decoded by decord in a child process.

    Raises:
        DecoderRefusedError: decord isn't installed, or is known to get videos of this kind wrong.
    """

    def __init__(
        self, probe: VideoProbe, indices: NDArray[np.int64], *, keep: bool, timeout_seconds: float, threads: int
    ) -> None:
        reason = _reason_to_refuse(probe)
        if reason:
            raise _refusal(probe, reason)
        self.damage = ""
        self._probe = probe
        self._indices: list[int] = indices.tolist()
        self._keep = keep
        self._timeout_seconds = timeout_seconds
        self._threads = threads

    def __iter__(self) -> Generator[tuple[int, NDArray[np.uint8]]]:
        request = {"path": str(self._probe.path.absolute()), "indices": self._indices, "threads": self._threads}
        with _worker(request, self._probe.path, self._timeout_seconds) as worker:
            self._check_times(worker)
            for place, index in enumerate(self._indices):
                head = worker.head()
                if "error" in head:
                    self._lose(place, str(head["error"]))
                    return
                yield index, worker.array(np.uint8, tuple(head["shape"]))

    def _check_times(self, worker: _Worker) -> None:
        probe = self._probe
        head = worker.head()
        if "error" in head:
            raise _refusal(probe, f"decord can't read it: {head['error']}")
        count = int(head["count"])
        times_ms = worker.array(np.float64, (count,)) * 1000
        if count != probe.frame_count:
            raise _refusal(probe, f"decord counts {count} frames, the container {probe.frame_count}")
        off_ms = float(np.abs(times_ms - probe.timestamps_ms).max())
        if not off_ms <= TIME_TOLERANCE_MS:
            raise _refusal(probe, f"decord's times are off by up to {off_ms:.3g} ms")

    def _lose(self, place: int, reason: str) -> None:
        self.damage = f"{place} of the {len(self._indices)} frames asked for were decoded, then decord says: {reason}"
        if not self._keep:
            raise DecoderFailedError(f"{self._probe.path}: {self.damage}")


def _reason_to_refuse(probe: VideoProbe) -> str:
    if find_spec("decord") is None:
        return "decord isn't installed"
    if probe.container in REFUSED_CONTAINERS:
        return f"decord gets the frames or times of {probe.container} files wrong"
    if len(probe.video_streams) > 1:
        return f"it has {len(probe.video_streams)} video streams, of which decord may take another than players show"
    if probe.crop != Crop():
        return "its container crops its pictures, which decord shows whole"
    if probe.tone_map:
        return "its pictures are HDR, which decord would show as if they were SDR"
    if probe.rotation:
        return f"its pictures are to be turned by {probe.rotation} degrees or mirrored, which decord may get wrong"
    if probe.has_edit_list:
        return "an edit list hides some of its frames, which decord shows"
    if probe.start_pts:
        start_ms = float(probe.start_pts * probe.time_base * 1000)
        return f"its first frame comes at {start_ms:.3f} ms instead of 0, which decord may count in"
    return ""


def _refusal(probe: VideoProbe, reason: str) -> DecoderRefusedError:
    return DecoderRefusedError(f"{probe.path}: {reason}")


@contextmanager
def _worker(request: dict[str, object], path: Path, timeout_seconds: float) -> Iterator[_Worker]:
    """The child process at work on a request; killed in the end, and by itself if this process ends first."""
    with subprocess.Popen(
        WORKER_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        worker = _Worker(process, path, timeout_seconds)
        try:
            worker.ask(request)
            yield worker
        finally:
            worker.stop()


class _Worker:
    """The child process seen from here: what it writes, and an end to waiting for it."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, timeout_seconds: float) -> None:
        self._process = process
        self._input = cast("BufferedWriter", process.stdin)
        self._output = cast("BufferedReader", process.stdout)
        self._path = path
        self._timeout_seconds = timeout_seconds

    def ask(self, request: dict[str, object]) -> None:
        """Send the request."""
        with self._killed_in_time(), suppress(BrokenPipeError):
            self._input.write(json.dumps(request).encode() + b"\n")
            self._input.flush()

    def head(self) -> dict[str, Any]:
        """The JSON line that comes next."""
        with self._killed_in_time():
            line = self._output.readline()
        if not line.endswith(b"\n"):
            raise self._ended()
        return dict(json.loads(line))

    def array(self, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """The bytes that come next, as an array."""
        values = np.empty(shape, dtype)
        with self._killed_in_time():
            size = self._output.readinto(values.reshape(-1).view(np.uint8).data)
        if size < values.nbytes:
            raise self._ended()
        return values

    def stop(self) -> None:
        """Kill the process; harmless when it has ended."""
        self._process.kill()
        with suppress(BrokenPipeError):  # what it didn't read any more
            self._input.close()

    def _ended(self) -> DecoderFailedError:
        code = self._process.wait()
        return DecoderFailedError(f"{self._path}: decord's process ended with exit code {code}")

    @contextmanager
    def _killed_in_time(self) -> Iterator[None]:
        expired = threading.Event()

        def stop() -> None:
            expired.set()
            self._process.kill()

        timer = threading.Timer(self._timeout_seconds, stop)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        if expired.is_set():
            raise VideoTimeoutError(
                f"{self._path}: decord delivered no frame within {self._timeout_seconds:g} s and was stopped"
            )
