"""Videos and results in a bucket: the same features as from a disk, each video read once, all commands as ever."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import fsspec
import numpy as np
import pytest

from clip_assets.browse.app import create_app
from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import Store
from clip_assets.demo import demo_clips
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.library_tick import Cursor, Look
from clip_assets_tests.browse.client import Client
from clip_assets_tests.making.platform import ASSETS, Platform, platform_of_single_frames
from clip_assets_tests.making.s3 import BUCKET, S3, new_bucket

pytestmark = pytest.mark.cluster
pytest.importorskip("moto")

FILMS, RESULTS = f"s3://{BUCKET}/films", f"s3://{BUCKET}/results"


def upload(folder: Path, url: str) -> int:
    """Put all files of a folder into the bucket; how many bytes they have."""
    filesystem = fsspec.filesystem("s3")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    for path in paths:
        filesystem.put_file(str(path), f"{url}/{path.relative_to(folder).as_posix()}")
    return sum(path.stat().st_size for path in paths)


@pytest.fixture
def platform(tmp_path: Path, s3: S3) -> Iterator[Platform]:
    """Two registered videos of a bucket, whose results go there."""
    new_bucket()
    with platform_of_single_frames(tmp_path, ["a.mp4", "deep/b.mp4"]) as made:
        upload(made.videos, FILMS)
        made.change(videos=FILMS, output=RESULTS, pictures="on", cache=tmp_path / "cache")
        yield made


def materialize(platform: Platform, keys: list[str]) -> dg.ExecuteInProcessResult:
    """All assets of neighbours, without their checks, which read what is stored once more."""
    definitions = build_definitions(platform.settings)
    alone = dg.Definitions(assets=definitions.assets, resources=definitions.resources)
    return alone.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=platform.instance,
        tags={"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]},
        raise_on_error=False,
    )


def test_each_video_is_read_once_and_the_requests_are_few(platform: Platform, s3: S3) -> None:
    local = platform.folder / "videos"
    keys = ["a.mp4", "deep/b.mp4"]
    size = sum((local / key).stat().st_size for key in keys)
    before = s3.sent["films"]
    with s3.counted() as new:
        assert materialize(platform, keys).success
    assert s3.sent["films"] - before <= 1.1 * size
    assert sum(new.values()) <= 52 * len(keys)
    with s3.counted() as recognised:
        assert materialize(platform, keys).success
    assert sum(recognised.values()) <= 8 * len(keys)
    assert s3.sent["films"] - before <= 1.1 * size


def test_features_are_those_of_a_disk_and_the_page_passes_videos_on(platform: Platform, tmp_path: Path) -> None:
    assert platform.materialize("a.mp4", "deep/b.mp4").success  # with the checks
    there, served = platform.store, platform.settings
    platform.change(videos=platform.folder / "videos", output=str(tmp_path / "output"))
    assert platform.materialize("a.mp4", "deep/b.mp4").success
    for key in ("a.mp4", "deep/b.mp4"):
        remote, local = (store.read("clip_features", key, ClipFeatures) for store in (there, platform.store))
        assert np.array_equal(remote.clip, local.clip)
        assert np.array_equal(remote.timestamps_ms, local.timestamps_ms)
        for asset in ASSETS:
            made = [store.manifest(asset, key) for store in (there, platform.store)]
            assert made[0] is not None
            assert made[1] is not None
            assert made[0].data_version == made[1].data_version

    original = (tmp_path / "videos" / "deep/b.mp4").read_bytes()
    page = Client(create_app(served))
    part = page.get("/media/deep/b.mp4", range="bytes=10-19")
    assert (part.status, part.body) == (206, original[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(original)}"
    assert page.get("/media/deep/b.mp4", range="bytes=-7").body == original[-7:]
    assert page.get("/media/deep/b.mp4").body == original
    assert page.get("/media/deep/b.mp4", range=f"bytes={len(original)}-").status == 416
    assert page.get("/picture/deep/b.mp4?t=0&sharp=1").headers["content-type"] == "image/jpeg"
    assert page.get("/stretch/deep/b.mp4?from=0").headers["content-type"] == "video/mp4"


def test_the_sensor_lists_and_asks_for_new_videos_alone(platform: Platform, s3: S3) -> None:
    (platform.folder / "videos" / "c.mp4").write_bytes((platform.folder / "videos" / "a.mp4").read_bytes() + b"more")
    upload(platform.folder / "videos", FILMS)
    platform.change(settle_seconds=0)
    before: str | None = None
    requested: list[dict[str, int]] = []
    for _ in range(2):
        source = platform.settings.source
        with s3.counted() as asked:
            look = Look(platform.settings, platform.instance, platform.registered(), source.listing(), now=1000.0)
            decision = look.decide(Cursor.from_json(before))
        before = decision.cursor.to_json()
        platform.instance.add_dynamic_partitions(platform.names("videos"), list(decision.new))
        requested.append({**asked, "videos": len(decision.requested)})
    assert requested[0]["videos"] == 3
    assert requested[1] == {"LIST": 1, "videos": 0}


class Project:
    """A folder that has nothing but a Dagster instance; commands run in it as a person's do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "home").mkdir(parents=True)

    def run(self, *arguments: str, videos: str = FILMS, output: str = RESULTS) -> str:
        told = {
            **os.environ,
            "DAGSTER_HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "CLIP_ASSETS_VIDEOS": videos,
            "CLIP_ASSETS_OUTPUT": output,
            "CLIP_ASSETS_MODEL_NAME": "demo",
            "CLIP_ASSETS_EXTRACTION_FPS": "2",
            "CLIP_ASSETS_SETTLE_SECONDS": "0",
        }
        command = [sys.executable, "-m", "clip_assets.cli", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=told, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.timeout(600)
def test_a_library_that_moves_to_the_bucket_stays_done_and_grows_there(s3: S3, tmp_path: Path) -> None:
    project, films = Project(tmp_path / "project"), tmp_path / "films"
    films.mkdir()
    first, *others = demo_clips()
    for clip in others:
        (films / clip.name).write_bytes(clip.read_bytes())
    local = {"videos": str(films), "output": str(tmp_path / "output")}
    project.run("run", **local)
    assert "2 done" in project.run("status", **local)

    new_bucket()
    upload(films, FILMS)
    upload(tmp_path / "output", RESULTS)
    assert "2 done" in project.run("status")
    assert "0 videos to do; 2 done" in project.run("run", "--dry-run")

    fsspec.filesystem("s3").put_file(str(first), f"{FILMS}/new/{first.name}")
    assert f"new/{first.name}" in project.run("run", f"{FILMS}/new", "--dry-run")
    project.run("run")
    assert "3 done" in project.run("status")
    assert "shapes.mp4" in project.run("find", "a blue square", "--json")
    assert "red circle" in project.run("show", "shapes.mp4")
    assert f"new/{first.name}" in project.run("similar", "shapes.mp4")

    project.run(
        "extract",
        "feature_type=clip",
        "model_name=demo",
        "extraction_fps=2",
        f"video_paths={FILMS}",
        "--cpu",
        "on_extraction=save_numpy",
        "output_path=extracted",
    )
    for clip in (first, *others):
        key = clip.name if clip in others else f"new/{clip.name}"
        stored = Store(RESULTS).read("clip_features", key, ClipFeatures)
        extracted = np.load(project.folder / "extracted" / f"{clip.stem}_clip.npy")
        assert np.allclose(extracted, stored.clip, atol=1e-5)  # other batches round otherwise
