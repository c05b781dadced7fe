"""`clip-assets run` for videos that lie scattered in a library, and for as many neighbours: runs and CPU time.

    python benchmarks/scattered.py [--count 300] [--rounds 1] [--json]

Half of the library's videos, every second one or the first ones, are named to the command in a new project in which all
are registered. Videos of ten frames, the demo model; the CPU time is that of the process with its children.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from videos import write


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), arguments.count, arguments.rounds)
    if arguments.json:
        print(json.dumps(row, indent=1))
        return
    print("| videos | runs | scattered, CPU s | neighbours, CPU s | ratio |\n|---|---|---|---|---|")
    print("| {videos} | {runs} | {scattered:.1f} | {neighbours:.1f} | {ratio:.2f} |".format(**row))


def measure(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Runs of the scattered, medians of CPU seconds, and of the ratio in each round."""
    videos = folder / "videos"
    videos.mkdir()
    keys = [f"{number:05}.mp4" for number in range(count)]
    write(videos / keys[0], (320, 240), 1, frames=10)
    for key in keys[1:]:
        (videos / key).hardlink_to(videos / keys[0])
    scattered, neighbours = [], []
    for number in range(rounds):
        runs, seconds = extracted(folder / f"scattered{number}", videos, keys[::2])
        scattered.append(seconds)
        neighbours.append(extracted(folder / f"neighbours{number}", videos, keys[: len(keys[::2])])[1])
    ratios = [one / other for one, other in zip(scattered, neighbours, strict=True)]
    medians = {"scattered": scattered, "neighbours": neighbours, "ratio": ratios}
    told = {name: statistics.median(values) for name, values in medians.items()}
    return {"videos": len(keys[::2]), "runs": runs, **told}


def extracted(project: Path, videos: Path, keys: Sequence[str]) -> tuple[int, float]:
    """Runs and CPU seconds that `clip-assets run` takes for these videos in a new project."""
    environment = {**os.environ, "DAGSTER_HOME": "", "CLIP_ASSETS_SETTLE_SECONDS": "0"}

    def command(*arguments: str, where: Path = project) -> None:
        subprocess.run(
            [sys.executable, "-m", "clip_assets.cli", *arguments],
            cwd=where, env=environment, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    command("init", str(project), "--videos", str(videos), "--model", "demo", where=videos)
    command("add", str(videos))
    before = cpu_seconds()
    command("run", *keys)
    seconds = cpu_seconds() - before
    with dg.DagsterInstance.from_config(str(project / ".dagster_home")) as instance:
        return instance.get_runs_count(), seconds


def cpu_seconds() -> float:
    """Of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
