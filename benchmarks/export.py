"""An export of a large library: what it costs, and whether pandas, DuckDB and `datasets` read what is stored.

    python benchmarks/export.py [--videos 1000] [--rows 100] [--shard-mb 64] [--json]

Features are made: 512 wide, alike within a video; videos of different lengths. The export runs in a process of its own,
whose CPU time and peak memory are told; Linux and macOS alone tell the peak. Then one video changes, and it is exported
again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from clip_assets.core.digests import digest
from clip_assets.core.export.contents import stored_table
from clip_assets.core.export.exporting import export
from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import Store

WIDTH = 512
Figures = dict[str, float]


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100, help="of a video, on average")
    parser.add_argument("--shard-mb", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--export", nargs=2, type=Path, metavar=("OUTPUT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.export:
        print(json.dumps(exported(*arguments.export, arguments.shard_mb)))
        return
    with tempfile.TemporaryDirectory() as folder:
        output, target = Path(folder, "output"), Path(folder, "exported")
        keys = [f"videos/{number % 10}/{number:05d}.mp4" for number in range(arguments.videos)]
        for number, key in enumerate(keys):
            store_video(Store(output), key, max(1, arguments.rows // 2 + number % arguments.rows), number)
        figures: Figures = {}
        for name in ("first", "unchanged", "one_changed"):
            if name == "one_changed":
                store_video(Store(output), keys[len(keys) // 2], arguments.rows, -1)
            command = [sys.executable, __file__, "--shard-mb", str(arguments.shard_mb), "--export", output, target]
            told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            figures |= {f"{name}_{figure}": value for figure, value in told.items()}
        figures |= agreement(Store(output), keys, target, Path(folder, "cache"))
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        print("\n".join(f"{name:28} {value:,.2f}" for name, value in figures.items()))


def store_video(store: Store, key: str, rows: int, seed: int) -> None:
    """Store made features of a video."""
    random = np.random.default_rng([seed + 1, 3])
    clip = (random.standard_normal((rows, WIDTH)) + 3 * random.standard_normal(WIDTH)).astype(np.float32)
    times = np.cumsum(random.random(rows)) * 80
    record = ClipFeatures(clip, times, times + 1, np.arange(rows) * 2, 25.0, "ViT-B/32", "a" * 64)
    parameters = {"source": f"{key} {seed}", "model_name": "ViT-B/32", "weights_sha256": "a" * 64}
    store.write("clip_features", key, record, data_version=digest(parameters), parameters=parameters)


def exported(output: Path, folder: Path, shard_mb: int) -> Figures:
    """Export, and what it took in this process."""
    store = Store(output)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    table, _ = stored_table(store, "features", list(store.keys("clip_features")), {})
    done = export(table, "parquet", folder, shard_bytes=shard_mb * 1024 * 1024)
    return {
        "cpu_seconds": time.process_time() - cpu,
        "seconds": time.perf_counter() - began,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_before_mib": base / 1024,
        "files_written": len(done.written),
        "files": len(done.written) + len(done.kept),
        "mb": done.size / 1e6,
        "stored_mb": done.rows * table.row_bytes / 1e6,
        "rows": done.rows,
    }


def agreement(store: Store, keys: list[str], folder: Path, cache: Path) -> Figures:
    """Compare what each library reads with what is stored, row by row and bit by bit."""
    import duckdb
    import pandas as pd

    files = f"{folder}/data/*.parquet"
    frame = pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("data/*.parquet"))])
    by_pandas = {str(key): rows for key, rows in frame.groupby("key")}
    query = duckdb.sql(f"SELECT key, clip, timestamp_ms FROM '{files}' ORDER BY key, row").to_arrow_table()
    by_duckdb = {str(key): rows for key, rows in query.to_pandas().groupby("key")}
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    from datasets import load_dataset

    loaded = load_dataset("parquet", data_files=files, split="train", cache_dir=str(cache)).with_format("pandas")
    by_datasets = {str(key): rows for key, rows in loaded[:].groupby("key")}
    for key in keys:
        record = store.read("clip_features", key, ClipFeatures)
        for rows in (by_pandas[key], by_duckdb[key], by_datasets[key]):
            np.testing.assert_array_equal(np.stack(rows["clip"]).view(np.uint32), record.clip.view(np.uint32))
            np.testing.assert_array_equal(rows["timestamp_ms"], record.timestamps_ms)
    readers = (by_pandas, by_duckdb, by_datasets)
    return {"videos_that_agree": float(len(keys)), "readers": float(sum(len(read) == len(keys) for read in readers))}


if __name__ == "__main__":
    main()
