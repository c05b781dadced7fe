"""A library of very many videos: what status, add and the sensor cost beside the videos themselves.

    python benchmarks/fleet.py [--counts 1000 10000 100000] [--dagster-yaml FILE] [--folder DIR] [--no-results] [--json]

Synthetic rows, not videos: files of a few bytes in folders of 1000, and manifests that are copies of those of one real
video, with the key, the fingerprint and the times of each. A manifest takes a folder and a file on the disk, eight for
each video; ``--no-results`` leaves them out, and what is measured of them. The instance is SQLite, or what a
``dagster.yaml`` says. Commands are measured as processes, from their start to their end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import fsspec
from fsspec.asyn import AsyncFileSystem

from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.records import SourceStat
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import MANIFEST_NAME, Manifest
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import failures, register, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.states import video_states
from clip_assets.settings import Settings
from empty import run
from videos import write

NAMES = LibraryNames()

REQUEST_SECONDS = 0.03


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--dagster-yaml", type=Path, help="of the instance; its databases have to be empty")
    parser.add_argument("--folder", type=Path, help="where to make it all (default: the system's temporary folder)")
    parser.add_argument("--no-results", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for count in arguments.counts:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            row = measure(Path(folder), count, arguments.dagster_yaml, with_results=not arguments.no_results)
        sys.stdout.write(f"{json.dumps(row) if arguments.json else told(row)}\n")
        sys.stdout.flush()


def told(row: dict[str, float]) -> str:
    """A row in words."""
    return "\n".join([f"{row['videos']:,.0f} videos", *(f"  {name}: {value}" for name, value in row.items())])


def measure(folder: Path, count: int, dagster_yaml: Path | None, *, with_results: bool) -> dict[str, float]:
    """All for one number of videos, in seconds."""
    settings = Settings(
        videos=str(folder / "videos"), output=str(folder / "output"), model_name="demo", device_ids="cpu",
        pictures="off", pred_texts=["a red circle", "a blue square"],
    )  # fmt: skip
    videos = Path(settings.videos)
    row: dict[str, float] = {"videos": count}
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(dagster_yaml.read_text() if dagster_yaml else "")
    environment = environment_of(settings, home, folder)
    patterns = one_video(folder, settings) if with_results else {}
    keys = make_videos(videos, count)
    row["fingerprints"] = seconds(lambda: [fingerprint(videos / key) for key in keys])
    row["add"] = command(environment, "add", settings.videos)
    row["add again"] = command(environment, "add", settings.videos)
    if with_results:
        make_results(Path(settings.output), patterns, videos, keys)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        row["registered()"] = seconds(lambda: registered(instance, NAMES))
        row["failures()"] = seconds(lambda: len(failures(instance, NAMES)))
    if with_results:
        row |= on_a_bucket(folder, settings, patterns, keys)
    row["listing"] = seconds(lambda: settings.source.listing())
    row["status, cold"] = command(environment, "status")
    row["status, warm"] = command(environment, "status")
    return {name: round(value, 2) for name, value in row.items()}


class Bucket(AsyncFileSystem):
    """Files in memory that take `REQUEST_SECONDS` a request, of which many may be under way at once."""

    protocol = "bucket"
    cachable = False
    files: ClassVar[dict[str, bytes]] = {}
    requests: ClassVar[Counter[str]] = Counter()

    async def _request(self, kind: str) -> None:
        self.requests[kind] += 1
        await asyncio.sleep(REQUEST_SECONDS)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        await self._request("GET")
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path][start:end]

    async def _info(self, path: str, **_: Any) -> dict[str, Any]:
        await self._request("HEAD")
        if path in self.files:
            return self._told(path)
        if any(name.startswith(f"{path}/") for name in self.files):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    async def _find(self, path: str, *, detail: bool = False, **_: Any) -> Any:
        below = [name for name in self.files if name.startswith(f"{path.rstrip('/')}/")]
        for _page in range(0, len(below) + 1, 1000):
            await self._request("LIST")
        return {name: self._told(name) for name in below} if detail else below

    async def _ls(self, path: str, *, detail: bool = True, **_: Any) -> Any:
        found = await self._find(path, detail=True)
        return list(found.values()) if detail else list(found)

    def _told(self, path: str) -> dict[str, Any]:
        return {"name": path, "size": len(self.files[path]), "type": "file", "ETag": f'"{path}"'}


def on_a_bucket(folder: Path, local: Settings, patterns: dict[str, Manifest], keys: Sequence[str]) -> dict[str, float]:
    """Seconds and requests of the states where videos and results are in a bucket; each result has five files."""
    fsspec.register_implementation("bucket", Bucket, clobber=True)
    Bucket.files.clear()
    for number, key in enumerate(keys):
        Bucket.files[f"films/{key}"] = str(number).encode()
        for asset, pattern in patterns.items():
            stat = SourceStat(len(str(number)), 0, f"films/{key}")
            manifest = replace(pattern, partition_key=key, source_stat=stat)
            Bucket.files |= {f"results/{asset}/{key}/{name}.npy": b"" for name in "abcd"}
            Bucket.files[f"results/{asset}/{key}/{MANIFEST_NAME}"] = manifest.to_json()
    settings = local.model_copy(update={"videos": "bucket://films", "output": "bucket://results"})
    row: dict[str, float] = {}
    os.environ["XDG_CACHE_HOME"] = str(folder / "bucket_cache")
    for name in ("cold", "warm"):
        Bucket.requests.clear()
        began = time.perf_counter()
        states = Counter(video.state for video in video_states(settings, keys, {}))
        row[f"states in a bucket, {name}"] = time.perf_counter() - began
        row |= {f"{kind}s in a bucket, {name}": count for kind, count in Bucket.requests.items()}
        assert states == {"done": len(keys)}, states
    return row


def environment_of(settings: Settings, home: Path, folder: Path) -> dict[str, str]:
    """Of a command on these settings."""
    return {
        **os.environ, "DAGSTER_HOME": str(home), "CLIP_ASSETS_VIDEOS": settings.videos,
        "CLIP_ASSETS_OUTPUT": settings.output, "CLIP_ASSETS_MODEL_NAME": "demo", "CLIP_ASSETS_DEVICE_IDS": "cpu",
        "CLIP_ASSETS_PICTURES": "off", "CLIP_ASSETS_PRED_TEXTS": json.dumps(settings.pred_texts),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }  # fmt: skip


def one_video(folder: Path, settings: Settings) -> dict[str, Manifest]:
    """The manifests of one real video by asset; nothing else of it stays."""
    videos = Path(settings.videos)
    videos.mkdir()
    write(videos / "one.mp4", (64, 48), 1, frames=10)
    with dg.DagsterInstance.ephemeral() as instance:
        register(instance, NAMES, settings.source, ["one.mp4"])
        run(build_definitions(settings).resolve_job_def("extract_clip_features"), instance, ["one.mp4"])
    found = {asset: Store(settings.output).manifest(asset, "one.mp4") for asset in PER_VIDEO}
    shutil.rmtree(settings.output)
    shutil.rmtree(videos)
    return {asset: manifest for asset, manifest in found.items() if manifest}


def make_videos(root: Path, count: int) -> list[str]:
    """Files of different content in folders of 1000; their keys, in order."""
    keys = []
    for number in range(count):
        if number % 1000 == 0:
            (root / f"{number // 1000:04}").mkdir(parents=True)
        keys.append(f"{number // 1000:04}/{number:07}.mp4")
        (root / keys[-1]).write_text(str(number))
        os.utime(root / keys[-1], ns=(0, 10**18 + number))
    return keys


def make_results(output: Path, patterns: dict[str, Manifest], videos: Path, keys: Sequence[str]) -> None:
    """A manifest of each asset for each video."""
    for number, key in enumerate(keys):
        stat, source = (videos / key).stat(), fingerprint(videos / key)
        for asset, pattern in patterns.items():
            manifest = replace(
                pattern, partition_key=key, parameters={**pattern.parameters, "source": source},
                source_stat=SourceStat(stat.st_size, stat.st_mtime_ns),
            )  # fmt: skip
            folder = output / asset / key
            folder.mkdir(parents=True)
            (folder / MANIFEST_NAME).write_bytes(manifest.to_json())
        if number % 10_000 == 0:
            sys.stderr.write(f"{number} results\n")


def command(environment: dict[str, str], *arguments: str) -> float:
    """Seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "clip_assets.cli", *arguments],
        env=environment, check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return time.perf_counter() - began


def seconds(work: Any) -> float:
    """Of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
