"""Peak memory of `clip-assets extract`: it is to depend on neither the length of a video nor the number of videos.

    python benchmarks/memory.py [--runs 5] [--size 1080p] [--seconds 60 600] [--counts 20 200] [--json]

Whole processes with the demo model, all frames: one video of each length, then each number of videos of 30 frames.
Linux and macOS alone tell the peak of a child process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from end_to_end import copies
from videos import SIZES, video


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", default="1080p", choices=SIZES)
    parser.add_argument("--seconds", nargs="+", type=int, default=[60, 600])
    parser.add_argument("--counts", nargs="+", type=int, default=[20, 200])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.gettempdir()) / "clip_assets_benchmark"
    short = video(folder, arguments.size, 1)
    cases = {f"one video of {seconds} s": [video(folder, arguments.size, seconds)] for seconds in arguments.seconds}
    cases |= {f"{count} videos of 1 s": copies(short, count) for count in arguments.counts}
    peaks: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(arguments.runs):
        for name, videos in cases.items():
            peaks[name].append(peak_mib(videos))
    result = {name: statistics.median(values) for name, values in peaks.items()}
    print(json.dumps(result, indent=1) if arguments.json else table(result))


def peak_mib(videos: list[Path]) -> float:
    """Peak of resident memory of one call of the command."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-m", "clip_assets.cli", "extract", "model_name=demo", "device_ids=cpu",
                   "on_extraction=save_numpy", f"output_path={output}", *map(str, videos)]  # fmt: skip
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def table(result: dict[str, float]) -> str:
    """The peaks as a Markdown table."""
    lines = ["| extracted | peak MiB |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {peak:.0f} |" for name, peak in result.items()])


if __name__ == "__main__":
    main()
