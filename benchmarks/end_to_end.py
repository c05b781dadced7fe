"""`clip-assets extract` against a straightforward script, as whole processes, in pairs.

    python benchmarks/end_to_end.py [--model demo] [--size 480p] [--fps 1] [--seconds 60] [--videos 2] [--pairs 5]

Same checkpoint, same videos, same batch size; the two take turns, so that a machine whose speed drifts treats both
alike. Prints each side's seconds, and CPU seconds, which other work on the machine changes less; and the ratios of
their frames per second. All are medians. Needs opencv-python-headless (extra `benchmark`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from clip_assets.demo import demo_checkpoint
from pipeline import ARCHITECTURES, random_model
from videos import SIZES, video

SCRIPT = Path(__file__).parent / "straightforward.py"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", choices=["demo", *ARCHITECTURES])
    parser.add_argument("--size", default="480p", choices=SIZES)
    parser.add_argument("--fps", type=int, default=0, help="sampled frames per second; 0: all frames")
    parser.add_argument("--seconds", type=int, default=60, help="length of each video")
    parser.add_argument("--videos", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = Path(tempfile.gettempdir()) / "clip_assets_benchmark"
    checkpoint = demo_checkpoint()
    if arguments.model != "demo":
        random_model(arguments.model, folder, "cpu")
        checkpoint = folder / f"random_{arguments.model.replace('/', '-')}.pth"
    videos = [str(copy) for copy in copies(video(folder, arguments.size, arguments.seconds), arguments.videos)]
    ours = [sys.executable, "-m", "clip_assets.cli", "extract", "model_name=custom", f"checkpoint={checkpoint}",
            "device_ids=cpu", "on_extraction=save_numpy", f"batch_size={arguments.batch_size}", *videos]  # fmt: skip
    if arguments.fps:
        ours.append(f"extraction_fps={arguments.fps}")
    theirs = [sys.executable, str(SCRIPT), str(checkpoint)]
    pairs = []
    for _ in range(arguments.pairs):
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            pair = (
                clocked([*ours, f"output_path={a}"]),
                clocked([*theirs, b, str(arguments.batch_size), str(arguments.fps), *videos]),
            )
            pairs.append(pair)
            frames = [sum(len(np.load(path)) for path in Path(out).glob("*_clip.npy")) for out in (a, b)]
    result = {
        "model": arguments.model, "size": arguments.size, "sampled_fps": arguments.fps or "all", "frames": frames,
    }  # fmt: skip
    for number, clock in enumerate(("seconds", "cpu_seconds")):
        result[f"ours_{clock}"] = statistics.median(our[number] for our, _ in pairs)
        result[f"script_{clock}"] = statistics.median(script[number] for _, script in pairs)
        result[f"times_as_fast_by_{clock}"] = statistics.median(
            frames[0] / our[number] / (frames[1] / script[number]) for our, script in pairs
        )
    print(json.dumps(result, indent=1) if arguments.json else "  ".join(f"{k}={v}" for k, v in result.items()))


def copies(path: Path, count: int) -> list[Path]:
    """Links to a video, for each is to be extracted under a name of its own."""
    links = [path.with_name(f"{path.stem}_{number}{path.suffix}") for number in range(count)]
    for link in links:
        if not link.exists():
            link.symlink_to(path)
    return links


def clocked(command: list[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of the whole process."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, check=True, capture_output=True)
    seconds, after = time.perf_counter() - began, os.times()
    cpu_before, cpu_after = (times.children_user + times.children_system for times in (before, after))
    return seconds, cpu_after - cpu_before


if __name__ == "__main__":
    main()
