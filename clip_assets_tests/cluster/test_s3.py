"""Results in a bucket: as whole as on a disk, and few requests."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import fsspec
import numpy as np
import pytest

from clip_assets.browse.app import create_app
from clip_assets.core.errors import ResultUnwritableError
from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import Store
from clip_assets.orchestration.definitions import build_definitions
from clip_assets_tests.browse.client import Client
from clip_assets_tests.making.platform import ASSETS, Platform, platform_of_single_frames
from clip_assets_tests.making.s3 import BUCKET, S3, new_bucket

pytestmark = pytest.mark.cluster
pytest.importorskip("moto")

KEYS = ["a.mp4", "b.mp4"]
FILES = {"off": 32, "on": 39}
"""Of the four results of a video, with their manifests, by whether there are pictures."""

WRITER = """
import sys
import fsspec
import numpy as np
from clip_assets.core.errors import ResultUnwritableError
from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import Store

store = Store(sys.argv[1])
for number in range(1_000_000):
    times = np.arange(float(number % 7 + 1))
    clip = np.full((len(times), 512), number, np.float32)
    record = ClipFeatures(clip, times, times, times.astype(np.int64), 25.0, str(number), "", "")
    store.write("clip_features", "a.mp4", record, data_version=str(number), parameters={})
    if number == 0:
        print("writes", flush=True)
"""


@pytest.fixture(params=["off", "on"])
def platform(request: pytest.FixtureRequest, tmp_path: Path, s3: S3) -> Iterator[Platform]:
    """Two registered videos, whose results go to an empty bucket."""
    new_bucket()
    with platform_of_single_frames(tmp_path, KEYS) as made:
        made.change(output=f"s3://{BUCKET}/results", pictures=request.param)
        yield made


def materialize(platform: Platform, key: str) -> dg.ExecuteInProcessResult:
    """All assets of a video, without their checks, which read what is stored once more."""
    definitions = build_definitions(platform.settings)
    alone = dg.Definitions(assets=definitions.assets, resources=definitions.resources)
    return alone.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=platform.instance, partition_key=key, raise_on_error=False
    )


def test_a_video_takes_few_requests_and_a_recognised_one_fewer(platform: Platform, s3: S3) -> None:
    with s3.counted() as new:
        assert materialize(platform, "a.mp4").success
    assert new["PUT"] == FILES[platform.settings.pictures]  # one for each file
    assert set(new) == {"PUT", "GET"}
    assert sum(new.values()) <= {"off": 45, "on": 52}[platform.settings.pictures]
    with s3.counted() as recognised:
        assert materialize(platform, "a.mp4").success
    assert sum(recognised.values()) <= 8
    with s3.counted() as again:
        platform.change(extraction_total=1, checkpoint=platform.settings.checkpoint)
        assert materialize(platform, "a.mp4").success
    assert again["LIST"] == 0


def test_results_are_those_of_a_disk(platform: Platform, tmp_path: Path) -> None:
    assert platform.materialize("a.mp4").success  # with the checks, which read what is in the bucket
    there = platform.store
    platform.change(output=str(tmp_path / "output"))
    assert platform.materialize("a.mp4").success
    for asset in ASSETS:
        remote, local = there.manifest(asset, "a.mp4"), platform.store.manifest(asset, "a.mp4")
        assert remote is not None
        assert local is not None
        assert (remote.data_version, remote.files) == (local.data_version, local.files)
    features = [store.read("clip_features", "a.mp4", ClipFeatures).clip for store in (there, platform.store)]
    assert np.array_equal(*features)


@pytest.mark.parametrize("platform", ["on"], indirect=True)
def test_pictures_stay_out_of_the_event_log_which_says_where_they_are(platform: Platform) -> None:
    assert "clip-assets show a.mp4 --html FILE" in told_of_features(platform)["pictures"].value
    manifest = platform.store.manifest("clip_features", "a.mp4")
    assert manifest is not None
    platform.change(browse_url="http://films.example:3001/")
    told = told_of_features(platform)
    assert "pictures" not in told
    page = Client(create_app(platform.settings))
    for picture in platform.store.pictures(manifest):
        answer = page.get(str(told[picture.name].value).removeprefix("http://films.example:3001"))
        assert (answer.status, answer.body) == (200, picture.data)


def told_of_features(platform: Platform) -> Mapping[str, dg.MetadataValue]:
    """What the event log says of a video's features."""
    result = platform.materialize("a.mp4", assets=["frame_indices", "clip_features"])
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey("clip_features")]
    metadata = event.materialization.metadata
    assert not any(isinstance(value, dg.MarkdownMetadataValue) for value in metadata.values())
    return metadata


@pytest.mark.timeout(300)
def test_a_writer_that_is_killed_leaves_a_whole_result_or_none(s3: S3) -> None:
    new_bucket()
    output, whole, kills = f"s3://{BUCKET}/killed", 0, 30
    dice = random.Random(0)
    for _ in range(kills):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, output], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writes\n"
        time.sleep(dice.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        store = Store(output)
        if store.manifest("clip_features", "a.mp4") is not None:
            whole += 1
            record = store.read("clip_features", "a.mp4", ClipFeatures)  # its digests compared
            assert set(np.unique(record.clip)) == {float(record.model_name)}
    assert whole > 0


def test_a_bucket_that_is_not_there_is_not_made(s3: S3) -> None:
    store, times = Store("s3://no-such-bucket/results"), np.arange(2.0)
    record = ClipFeatures(np.ones((2, 8), np.float32), times, times, times.astype(np.int64), 25.0, "custom", "", "")
    with pytest.raises(ResultUnwritableError, match="no-such-bucket"):
        store.write("clip_features", "a.mp4", record, data_version="1", parameters={})
    assert not fsspec.filesystem("s3").exists("no-such-bucket")


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from clip_assets.core.errors import SettingsError

    monkeypatch.setitem(sys.modules, "adlfs", None)
    with pytest.raises(SettingsError, match=r"abfs://films/results can't be reached: .*clip_assets\[azure\]"):
        Store("abfs://films/results")
