"""Many short videos through batch runs on a SQLite instance: what a video costs beside decoding and encoding.

    python benchmarks/scale.py [--counts 10 100 1000] [--videos-per-run 100] [--json]

Each video is a link to one clip of 10 frames, extracted with the demo model. Overhead is the CPU time of a batch run
less the time of its stages, for each video; pictures are off.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import dagster as dg
from videos import write

from clip_assets.core.store import Store
from clip_assets.definitions import build_definitions
from clip_assets.instance import register
from clip_assets.partitions import partition_tags
from clip_assets.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
STAGES = ("decode_seconds", "preprocess_seconds", "encode_seconds")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", nargs="+", type=int, default=[10, 100, 1000])
    parser.add_argument("--videos-per-run", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder), count, arguments.videos_per_run))
    print(json.dumps(rows, indent=1) if arguments.json else table(rows))


def measure(folder: Path, count: int, videos_per_run: int) -> dict[str, float]:
    """One row: seconds, CPU seconds, overhead and bytes for each video; peak memory of the process so far."""
    settings = Settings(
        videos=folder / "videos", output=str(folder / "output"), model_name="demo", device_ids="cpu", pictures="off",
        pred_texts=["a red circle", "a blue square"], videos_per_run=videos_per_run,
    )  # fmt: skip
    settings.videos.mkdir()
    write(settings.videos / "00000.mp4", (320, 240), 1, frames=10)
    for number in range(1, count):
        (settings.videos / f"{number:05}.mp4").hardlink_to(settings.videos / "00000.mp4")
    job = build_definitions(settings).resolve_job_def("extract_clip_features")
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        keys = register(instance, settings.videos, [settings.videos])
        cpu, began = time.process_time(), time.perf_counter()
        for start in range(0, count, videos_per_run):
            batch = keys[start : start + videos_per_run]
            job.execute_in_process(instance=instance, run_config=QUIET, tags=partition_tags(batch))
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    store = Store(settings.output)
    summaries = [store.manifest("clip_features", key).summary for key in keys]
    staged = sum(summary[stage] for summary in summaries for stage in STAGES)
    stored = sum(path.stat().st_size for path in Path(settings.output).rglob("*") if path.is_file())
    return {
        "videos": count,
        "seconds_per_video": seconds / count,
        "cpu_seconds_per_video": cpu_seconds / count,
        "overhead_cpu_seconds_per_video": (cpu_seconds - staged) / count,
        "bytes_per_video": stored / count,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def table(rows: list[dict[str, float]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| videos | s per video | CPU ms | of it overhead, ms | kB stored | peak MiB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['videos']} | {row['seconds_per_video']:.3f} | {row['cpu_seconds_per_video'] * 1000:.0f} | "
        f"{row['overhead_cpu_seconds_per_video'] * 1000:.0f} | {row['bytes_per_video'] / 1000:.1f} | "
        f"{row['peak_memory_mib']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
