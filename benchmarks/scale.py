"""Many short videos through batch runs on a SQLite instance: what a video costs beside decoding and encoding.

    python benchmarks/scale.py [--counts 10 100 1000] [--videos-per-run 100] [--json]

Each video is a link to one clip of 10 frames, extracted with the demo model. Overhead is the CPU time of the batch runs
less that of the pipeline alone on the same videos: Dagster, digests, manifests and files. Same events, empty is what
Dagster itself takes: the same runs of assets and checks that do nothing but log the same events. Read again is what a
run is spared by reading each video once: demuxing it a second time, and digesting its content a second and a third
time.
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

from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.pipeline.decoding import VideoJob
from clip_assets.core.pipeline.features import Extracted, extract_features
from clip_assets.core.video import probe
from clip_assets.models import load_model
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.settings import Settings
from empty import empty_job, run
from videos import planned, write


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
    Path(settings.videos).mkdir()
    write(Path(settings.videos) / "00000.mp4", (320, 240), 1, frames=frames)
    keys = [f"{number:05}.mp4" for number in range(count + 1)]
    for key in keys[1:]:
        (Path(settings.videos) / key).hardlink_to(Path(settings.videos) / keys[0])
    job = build_definitions(settings).resolve_job_def("extract_clip_features")
    one, seconds, cpu_seconds = run_batches(job, folder / "platform", keys, videos_per_run)
    _, _, dagster = run_batches(empty_job(one), folder / "empty", keys, videos_per_run)
    paths = [Path(settings.videos) / key for key in keys[1:]]
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
    job: dg.JobDefinition, folder: Path, keys: Sequence[str], videos_per_run: int
) -> tuple[dg.ExecuteInProcessResult, float, float]:
    """The first partition's run, which loads the model; seconds and CPU seconds of runs for all others after it."""
    first, *others = keys
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        instance.add_dynamic_partitions("videos", keys)
        result = run(job, instance, [first])
        cpu, began = time.process_time(), time.perf_counter()
        for start in range(0, len(others), videos_per_run):
            run(job, instance, others[start : start + videos_per_run])
        return result, time.perf_counter() - began, time.process_time() - cpu


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
        "| videos | s per video | CPU ms | of it overhead | same events, empty | read again | kB stored | peak MiB |",
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
