"""Many short videos through batch runs on a SQLite instance: what a video costs beside decoding and encoding.

    python benchmarks/scale.py [--counts 10 100 1000] [--videos-per-run 100] [--json]

Each video is a link to one clip of 10 frames, extracted with the demo model. Overhead is the CPU time of the batch runs
less that of the pipeline alone on the same videos: Dagster, digests, manifests and files. Read again is what a run
is spared by reading each video once: demuxing it a second time, and digesting its content a second and a third time.
The model is loaded before, and pictures are off.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dagster as dg

from clip_assets.core.library.listing import fingerprint
from clip_assets.core.model.clip_model import load_model
from clip_assets.core.pipeline.decoding import VideoJob
from clip_assets.core.pipeline.features import Extracted, extract_features
from clip_assets.core.video import probe
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import register
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.settings import Settings
from videos import planned, write

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", nargs="+", type=int, default=[10, 100, 1000])
    parser.add_argument("--frames", type=int, default=10, help="of each video")
    parser.add_argument("--videos-per-run", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder), count, arguments.frames, arguments.videos_per_run))
    print(json.dumps(rows, indent=1) if arguments.json else table(rows))


def measure(folder: Path, count: int, frames: int, videos_per_run: int) -> dict[str, float]:
    """One row: seconds, CPU seconds, overhead and bytes for each video; peak memory of the process so far."""
    settings = Settings(
        videos=folder / "videos", output=str(folder / "output"), model_name="demo", device_ids="cpu", pictures="off",
        pred_texts=["a red circle", "a blue square"], videos_per_run=videos_per_run,
    )  # fmt: skip
    settings.videos.mkdir()
    write(settings.videos / "00000.mp4", (320, 240), 1, frames=frames)
    for number in range(1, count + 1):
        (settings.videos / f"{number:05}.mp4").hardlink_to(settings.videos / "00000.mp4")
    job = build_definitions(settings).resolve_job_def("extract_clip_features")
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        keys = register(instance, settings.videos, [settings.videos])
        seconds, cpu_seconds = run_batches(job, instance, keys, videos_per_run)
    dagster = dagster_cpu_seconds(folder / "empty", keys, videos_per_run)
    paths = [settings.videos / key for key in keys[1:]]
    alone, again = pipeline_cpu_seconds(paths, settings), reading_again_cpu_seconds(paths)
    stored = sum(path.stat().st_size for path in Path(settings.output).rglob("*") if path.is_file())
    return {
        "videos": count,
        "seconds_per_video": seconds / count,
        "cpu_seconds_per_video": cpu_seconds / count,
        "overhead_cpu_seconds_per_video": (cpu_seconds - alone) / count,
        "dagster_cpu_seconds_per_video": dagster / count,
        "reading_again_cpu_seconds_per_video": again / count,
        "bytes_per_video": stored / count,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_batches(
    job: dg.JobDefinition, instance: dg.DagsterInstance, keys: Sequence[str], videos_per_run: int
) -> tuple[float, float]:
    """Seconds and CPU seconds of runs for all partitions but the first, which has a run before, to load the model."""
    first, *others = keys
    job.execute_in_process(instance=instance, run_config=QUIET, tags=partition_tags([first]))
    cpu, began = time.process_time(), time.perf_counter()
    for start in range(0, len(others), videos_per_run):
        batch = others[start : start + videos_per_run]
        job.execute_in_process(instance=instance, run_config=QUIET, tags=partition_tags(batch))
    return time.perf_counter() - began, time.process_time() - cpu


def dagster_cpu_seconds(folder: Path, keys: Sequence[str], videos_per_run: int) -> float:
    """CPU time of the same runs of three assets that do nothing and store nothing."""
    partitions = dg.DynamicPartitionsDefinition(name="empty")

    def empty(name: str, *deps: str) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=deps, partitions_def=partitions, backfill_policy=dg.BackfillPolicy.single_run())
        def nothing() -> dg.MaterializeResult:
            return dg.MaterializeResult()

        return nothing

    assets = [empty("first"), empty("second", "first"), empty("third", "second")]
    jobs = [dg.define_asset_job("empty", assets)]
    job = dg.Definitions(assets, jobs=jobs, executor=dg.in_process_executor).resolve_job_def("empty")
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        instance.add_dynamic_partitions("empty", keys)
        _, cpu_seconds = run_batches(job, instance, keys, videos_per_run)
    return cpu_seconds


def pipeline_cpu_seconds(paths: list[Path], settings: Settings) -> float:
    """CPU time of decoding, preprocessing and encoding, without Dagster and without storing anything."""
    model = load_model("demo", weights_folder=settings.weights)
    jobs = [VideoJob(str(path), partial(planned, path, settings.sampling)) for path in paths]
    cpu = time.process_time()
    for result in extract_features(jobs, [model], settings.pipeline_options):
        assert isinstance(result, Extracted), result.error
    return time.process_time() - cpu


def reading_again_cpu_seconds(paths: Sequence[Path]) -> float:
    """CPU time of demuxing each video once more, and of two more digests of its content."""
    cpu = time.process_time()
    for path in paths:
        probe(path)
        fingerprint(path)
        fingerprint(path)
    return time.process_time() - cpu


def table(rows: list[dict[str, float]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| videos | s per video | CPU ms | of it overhead | three empty assets | read again | kB stored | peak MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['videos']} | {row['seconds_per_video']:.3f} | {row['cpu_seconds_per_video'] * 1000:.0f} | "
        f"{row['overhead_cpu_seconds_per_video'] * 1000:.0f} | {row['dagster_cpu_seconds_per_video'] * 1000:.0f} | "
        f"{row['reading_again_cpu_seconds_per_video'] * 1000:.1f} | "
        f"{row['bytes_per_video'] / 1000:.1f} | "
        f"{row['peak_memory_mib']:.0f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
