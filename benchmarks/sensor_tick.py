"""What a tick of the sensor `video_library` costs: 100,000 files listed, registered, requested; then nothing new.

    python benchmarks/sensor_tick.py [--videos 100000] [--ticks 5] [--json]

Files are empty, in folders of 1000, on a local disk; the instance is SQLite. For each kind of tick: seconds in the
sensor (Dagster allows 60), seconds in which Dagster's daemon carries the answer out (its partitions and runs; code
server and launching are not measured), and the process's peak memory so far.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
import uuid
from pathlib import Path

import dagster as dg

from clip_assets.core.garbage import uncollected
from clip_assets.core.library.changes import KnownVideo
from clip_assets.core.library.state import LibraryState
from clip_assets.orchestration.instance import UNFINISHED, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.library_tick import Cursor, Look, library_memory
from clip_assets.settings import Settings

NAMES = LibraryNames()


def make_library(root: Path, videos: int) -> None:
    """Empty files in folders of 1000."""
    for number in range(videos):
        if number % 1000 == 0:
            folder = root / f"{number // 1000:04}"
            folder.mkdir(parents=True)
        (folder / f"{number:06}.mp4").touch()


def carry_out(instance: dg.DagsterInstance, result: dg.SensorResult) -> None:
    """What the daemon does with the sensor's answer, but for launching the runs: they stay as if they were running."""
    for request in result.dynamic_partitions_requests or ():
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions("videos", list(request.partition_keys))
    for request in result.run_requests or ():
        status = dg.DagsterRunStatus.STARTED
        instance.add_run(dg.DagsterRun("job", run_id=str(uuid.uuid4()), tags=request.tags, status=status))


def tick(settings: Settings, instance: dg.DagsterInstance, cursor: str | None, now: float) -> tuple[str, dict]:
    """One tick; the next cursor, and what it cost."""
    began = time.perf_counter()
    with uncollected():
        look = Look(settings, instance, registered(instance, NAMES), settings.source.listing(), now)
        decision = look.decide(Cursor.from_json(cursor))
        decision.report(instance)
    decided = time.perf_counter()
    result = decision.to_dagster(cursor)
    carry_out(instance, result)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    return str(result.cursor), {
        "message": decision.message,
        "sensor_seconds": round(decided - began, 2),
        "daemon_seconds": round(time.perf_counter() - decided, 2),
        "runs": len(decision.batches),
        "cursor_bytes": len(str(result.cursor)),
        "peak_mib": round(peak),
    }


def measure(videos: int, ticks: int, folder: Path, instance: dg.DagsterInstance) -> list[dict]:
    """The first ticks of a full library; the last one of it; and an idle one."""
    settings = Settings(videos=folder / "videos", output=str(folder / "output"))
    make_library(Path(settings.videos), videos)
    rows = []
    cursor: str | None = None
    now = 0.0
    for number in range(ticks):
        now += 10
        cursor, row = tick(settings, instance, cursor, now)
        rows.append({"tick": f"number {number + 1}", **row})
    cursor = _all_known_but_the_last(settings, instance, 500)
    for name in ("nearly all known, 500 seen", "nearly all known, asked for", "the rest", "nothing new"):
        now += 10
        cursor, row = tick(settings, instance, cursor, now)
        rows.append({"tick": name, **row})
    return rows


def _all_known_but_the_last(settings: Settings, instance: dg.DagsterInstance, count: int) -> str:
    """As after many ticks: everything registered, known and in the runs of the queue, but the last few."""
    listed = settings.source.listing().videos[:-count]
    content = settings.source.fingerprint(listed[0].key)
    registered = set(instance.get_dynamic_partitions("videos"))
    keys = [video.key for video in listed if video.key not in registered]
    instance.add_dynamic_partitions("videos", keys)
    for start in range(0, len(keys), settings.videos_per_run):
        batch = keys[start : start + settings.videos_per_run]
        tags = {"dagster/asset_partition_range_start": batch[0], "dagster/asset_partition_range_end": batch[-1]}
        instance.add_run(dg.DagsterRun("job", run_id=str(uuid.uuid4()), tags=tags, status=UNFINISHED[0]))
    known = {video.key: KnownVideo(video.size, video.mtime_ns, content) for video in listed}
    return Cursor(library_memory(instance, NAMES, "").remember(LibraryState(known))).to_json()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--ticks", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home = folder / "home"
        home.mkdir()
        with dg.DagsterInstance.local_temp(str(home)) as instance:
            rows = measure(arguments.videos, arguments.ticks, folder, instance)
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(
            f"{row['tick']}: {row['sensor_seconds']} s in the sensor, {row['daemon_seconds']} s in the daemon, "
            f"{row['runs']} runs, cursor {row['cursor_bytes']} bytes, peak {row['peak_mib']} MiB ({row['message']})"
        )


if __name__ == "__main__":
    main()
