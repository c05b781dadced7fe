"""What a video costs in Dagster's event log and in the output: bytes by database and table.

    python benchmarks/event_log.py [--count 30] [--per-run 15]

The demo's clips at 2 frames per second in a SQLite instance, with pictures and without. A run's own databases count as
one, `runs/<id>`; rows of less than 500 bytes a video are left out.
"""

import argparse
import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

import dagster as dg

from clip_assets.demo import demo_clips
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import all_keys, register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
PAGES = "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master ON dbstat.name = sqlite_master.name GROUP BY 1"
RUN_ID_LENGTH = 36
SMALL = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--per-run", type=int, default=15)
    arguments = parser.parse_args()
    grown = {}
    for pictures in ("on", "off"):
        with tempfile.TemporaryDirectory() as folder:
            grown[pictures] = measure(Path(folder), arguments.count, arguments.per_run, pictures)
    print("| kB per video | with pictures | without |\n|---|---|---|")
    for name, size in grown["on"].most_common():
        if size >= SMALL:
            print(f"| `{name}` | {size / 1000:.1f} | {grown['off'][name] / 1000:.1f} |")


def measure(folder: Path, count: int, per_run: int, pictures: str) -> Counter[str]:
    """Bytes per video, by table of a database."""
    settings = Settings(
        videos=folder / "videos", output=str(folder / "output"), model_name="demo", device_ids="cpu",
        extraction_fps=2, pictures=pictures,
    )  # fmt: skip
    Path(settings.videos).mkdir()
    (folder / "home").mkdir()
    clips = demo_clips()
    for number in range(count):
        shutil.copy(clips[number % len(clips)], Path(settings.videos) / f"clip{number:05}.mp4")
    job = build_definitions(settings).resolve_job_def("extract_clip_features")
    with dg.DagsterInstance.local_temp(str(folder / "home")) as instance:
        keys = all_keys(settings.source)
        register(instance, LibraryNames(), settings.source, keys)
        for first in range(0, count, per_run):
            batch = keys[first : first + per_run]
            job.execute_in_process(instance=instance, tags=partition_tags(batch), run_config=QUIET)
        files = (path for path in Path(settings.output).rglob("*") if path.is_file())
        sizes = Counter({"output": sum(path.stat().st_size for path in files)})
        for path in (folder / "home").rglob("*.db"):
            sizes.update(tables(path))
    return Counter({name: size / count for name, size in sizes.items()})


def tables(path: Path) -> dict[str, int]:
    """Bytes of each table of a database, with its indexes."""
    name = "runs/<id>" if len(path.stem) == RUN_ID_LENGTH else path.stem
    with sqlite3.connect(path) as database:
        return {f"{name}: {table}": size for table, size in database.execute(PAGES)}


if __name__ == "__main__":
    main()
