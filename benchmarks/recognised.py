"""A batch whose results are all stored: what recognising them costs beside assets that do nothing.

    python benchmarks/recognised.py [--count 20] [--rounds 5] [--json]

CPU time of a run, in turns with one of empty assets and checks that log the very same events: each partition's
materializations with their metadata, and each check's evaluations. A SQLite instance, the demo model, no pictures.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import all_keys, register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.settings import Settings
from empty import empty_job, run
from videos import write


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), arguments.count, arguments.rounds)
    if arguments.json:
        print(json.dumps(row, indent=1))
        return
    print("| videos | stored, CPU s | empty with the same events, CPU s | ratio |\n|---|---|---|---|")
    print(f"| {row['videos']} | {row['stored']:.2f} | {row['empty']:.2f} | {row['ratio']:.2f} |")


def measure(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Medians of CPU seconds, and of the ratio in each round."""
    settings = Settings(
        videos=folder / "videos", output=str(folder / "output"), model_name="demo", device_ids="cpu", pictures="off",
        pred_texts=["a red circle", "a blue square"],
    )  # fmt: skip
    Path(settings.videos).mkdir()
    write(Path(settings.videos) / "00000.mp4", (320, 240), 1, frames=10)
    for number in range(1, count):
        (Path(settings.videos) / f"{number:05}.mp4").hardlink_to(Path(settings.videos) / "00000.mp4")
    job = build_definitions(settings).resolve_job_def("extract_clip_features")
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        keys = all_keys(settings.source)
        register(instance, LibraryNames(), settings.source, keys)
        run(job, instance, keys)
        nothing = empty_job(run(job, instance, keys[:1]))
    stored, same = [], []
    for number in range(rounds):  # in instances of their own, so that neither reads the other's history
        for spent, work, name in ((stored, job, "stored"), (same, nothing, "empty")):
            home = folder / f"{name}{number}"
            home.mkdir()
            with dg.DagsterInstance.local_temp(str(home)) as instance:
                instance.add_dynamic_partitions("videos", keys)
                run(work, instance, keys[:1])
                spent.append(cpu_seconds(work, instance, keys))
    ratios = [one / other for one, other in zip(stored, same, strict=True)]
    medians = {"stored": stored, "empty": same, "ratio": ratios}
    return {"videos": count, **{name: statistics.median(values) for name, values in medians.items()}}


def cpu_seconds(job: dg.JobDefinition, instance: dg.DagsterInstance, keys: Sequence[str]) -> float:
    """Of one run for all keys."""
    began = time.process_time()
    run(job, instance, keys)
    return time.process_time() - began


if __name__ == "__main__":
    main()
