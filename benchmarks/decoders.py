"""Speed and memory of every decoder at four sizes, for all frames and for one frame a second.

    python benchmarks/decoders.py                 # a Markdown table
    python benchmarks/decoders.py --json          # the measurements
    python benchmarks/decoders.py --seconds 2 --repeats 1 --sizes 320x240

Each measurement is a process of its own, opening and probing included; the decoders take turns, and the median of all
rounds counts. "clip_assets" is this project's way to use a decoder, the bare library the shortest way to use it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

SIZES = ("320x240", "480x360", "1280x720", "1920x1080")
FPS = 30
MODES = {"all": 1, "1 fps": FPS}
BASELINE = "decord"

Frames = Iterator[NDArray[np.uint8]]


@dataclass(frozen=True)
class Measurement:
    """One decoder on one clip, the median of all rounds.

    Attributes:
        decoder: Its name in `DECODERS`.
        size: Width x height.
        mode: One of `MODES`.
        source_fps: Frames of the clip, decoded or passed over, per second of wall time.
        cpu_ms: Milliseconds of CPU time for each of them, of all threads, and of a child process with its start.
        memory_mib: Growth of the peak of resident memory while decoding; all of a child process's is growth. Linux
            alone tells it; elsewhere 0.
    """

    decoder: str
    size: str
    mode: str
    source_fps: float
    cpu_ms: float
    memory_mib: float


def by_clip_assets(decoder: str) -> Callable[[Path, int], Frames]:
    """This project's decoders."""

    def frames(path: Path, step: int) -> Frames:
        from clip_assets.core.video import decode, probe

        video = probe(path)
        with decode(video, np.arange(0, video.frame_count, step), decoder=decoder) as stream:  # type: ignore[arg-type]
            for frame in stream:
                yield frame.rgb

    return frames


def by_decord(path: Path, step: int) -> Frames:
    """decord in this process, frame by frame."""
    import decord

    reader = decord.VideoReader(str(path))
    for index in range(0, len(reader), step):
        yield reader[index].asnumpy()


def by_opencv(path: Path, step: int) -> Frames:
    """OpenCV, converting only the frames asked for."""
    import cv2

    reader = cv2.VideoCapture(str(path))
    index = 0
    while reader.grab():
        if index % step == 0:
            yield cv2.cvtColor(reader.retrieve()[1], cv2.COLOR_BGR2RGB)
        index += 1


# Name -> (the library it needs, what else to import before the clock starts, how it decodes).
DECODERS: dict[str, tuple[str, str, Callable[[Path, int], Frames]]] = {
    "clip_assets, pyav": ("av", "clip_assets.core.video.pyav_decoder", by_clip_assets("pyav")),
    "clip_assets, decord": ("decord", "clip_assets.core.video.decord_decoder", by_clip_assets("decord")),
    "decord": ("decord", "numpy", by_decord),
    "opencv": ("cv2", "numpy", by_opencv),
}


def write_clip(path: Path, width: int, height: int, seconds: int) -> None:
    """H.264 as x264 makes it by default: a textured picture that pans, with grain that changes."""
    import av

    rng = np.random.default_rng(0)
    margin = 2 * FPS * seconds
    rows, columns = np.ogrid[: height + margin, : width + margin]
    waves = 90 + 60 * np.sin(columns / 17) * np.cos(rows / 23) + 40 * np.sin((rows + 2 * columns) / 5)
    scene = np.stack([waves, np.roll(waves, 31, axis=0), np.roll(waves, 57, axis=1)], axis=-1).astype(np.int16)
    grain = rng.normal(0, 4, (7, height, width, 1)).astype(np.int16)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(FPS * seconds):
            picture = scene[index : index + height, 2 * index : 2 * index + width] + grain[index % len(grain)]
            rgb = np.clip(picture, 0, 255).astype(np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        output.mux(stream.encode(None))


def peak_kib(process: str = "self") -> int:
    """The peak of a process's resident memory, as Linux tells it; 0 elsewhere."""
    status = Path("/proc", process, "status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def children_peak_kib() -> int:
    """The sum of `peak_kib` over this process's children."""
    total = 0
    for thread in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # threads come and go
            total += sum(peak_kib(child) for child in thread.read_text().split())
    return total


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_here(decoder: str, path: Path, step: int) -> dict[str, float]:
    """Decode in this process: seconds of wall time and of CPU time, and the growth of memory in MiB."""
    library, package, frames = DECODERS[decoder]
    for name in (library, package, "clip_assets.core.video.frames", "clip_assets.core.video.probing"):
        importlib.import_module(name)
    before, cpu, start = peak_kib(), cpu_seconds(), time.perf_counter()
    children = 0
    for number, _ in enumerate(frames(path, step)):
        if number % 8 == 0:
            children = max(children, children_peak_kib())
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu": cpu_seconds() - cpu, "mib": (peak_kib() - before + children) / 1024}


def run_apart(decoder: str, path: Path, step: int) -> dict[str, float]:
    """The same in a new process."""
    command = [sys.executable, __file__, "--run", decoder, str(path), str(step)]
    root = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(size: str, seconds: int, repeats: int) -> list[Measurement]:
    """All decoders on a clip of one size."""
    names = [name for name, (library, _, _) in DECODERS.items() if importlib.util.find_spec(library)]
    runs: dict[tuple[str, str], list[dict[str, float]]] = {(name, mode): [] for mode in MODES for name in names}
    count = FPS * seconds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        width, height = map(int, size.split("x"))
        write_clip(path, width, height, seconds)
        for _ in range(repeats):
            for name, mode in runs:
                runs[name, mode].append(run_apart(name, path, MODES[mode]))
    return [
        Measurement(
            name,
            size,
            mode,
            source_fps=round(median(count / run["seconds"] for run in results), 1),
            cpu_ms=round(median(1000 * run["cpu"] / count for run in results), 3),
            memory_mib=round(median(run["mib"] for run in results), 1),
        )
        for (name, mode), results in runs.items()
    ]


def table(measurements: list[Measurement], mode: str) -> str:
    """A Markdown table of one mode: frames per second, how many times the baseline's, CPU time a frame, memory."""
    found = {(m.decoder, m.size): m for m in measurements if m.mode == mode}
    sizes = list(dict.fromkeys(size for _, size in found))
    lines = [f"| {mode} | " + " | ".join(sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name in dict.fromkeys(name for name, _ in found):
        cells = []
        for size in sizes:
            one, base = found[name, size], found.get((BASELINE, size))
            ratio = f", {one.source_fps / base.source_fps:.2f}x" if base else ""
            cells.append(f"{one.source_fps:.0f}{ratio}; {one.cpu_ms:.2f} ms; {one.memory_mib:.0f} MiB")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the measurements as JSON")
    parser.add_argument("--seconds", type=int, default=10, help="length of the clips")
    parser.add_argument("--repeats", type=int, default=5, help="rounds, of which the median counts")
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="WxH")
    parser.add_argument("--run", nargs=3, metavar=("DECODER", "PATH", "STEP"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        decoder, path, step = options.run
        print(json.dumps(run_here(decoder, Path(path), int(step))))
        return
    measurements = [one for size in options.sizes for one in measure(size, options.seconds, options.repeats)]
    if options.json:
        print(json.dumps([asdict(one) for one in measurements], indent=2))
    else:
        print("\n\n".join(table(measurements, mode) for mode in MODES))


if __name__ == "__main__":
    main()
