"""A folder that people drop videos into, kept in step by a real `dagster dev`: webserver, daemon and code server."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.store import Store
from clip_assets.project import INSTANCE_SETTINGS
from clip_assets.results.assets import PER_VIDEO
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit
from clip_assets_tests.making.platform import ASSETS
from clip_assets_tests.making.server import DagsterServer, dagster_dev, wait_until

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
SETTLE_SECONDS = 3
PATIENCE = 300
"""Seconds after which a state is given up on; on idle cores each is reached in a tenth of that."""

PARTITIONS = """
query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionKeys
  assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } }
} } }
"""

STALE = """
query ($key: AssetKeyInput!, $partition: String!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  staleStatus(partition: $partition) staleCauses(partition: $partition) { reason }
} } }
"""

RUNS = """
query ($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results {
  status eventConnection { events { ... on ExecutionStepFailureEvent { failureMetadata { description } } } }
} } } }
"""

BACKFILL = """
mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
} }
"""

BACKFILL_STATUS = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""


class Folder:
    """A library in a temporary home, and what Dagster says of it."""

    def __init__(self, folder: Path) -> None:
        self.videos, self.output, self.home = folder / "videos", folder / "output", folder / "home"
        self.videos.mkdir()
        self.home.mkdir()
        instance = yaml.safe_load((INSTANCE_SETTINGS).read_text())
        instance["run_monitoring"]["poll_interval_seconds"] = 5
        (self.home / "dagster.yaml").write_text(yaml.safe_dump(instance))
        self.environment = {
            "CLIP_ASSETS_VIDEOS": str(self.videos),
            "CLIP_ASSETS_OUTPUT": str(self.output),
            "CLIP_ASSETS_MODEL_NAME": "custom",
            "CLIP_ASSETS_CHECKPOINT": str(random_vit(folder / "vit.pth")),
            "CLIP_ASSETS_DEVICE_IDS": "cpu",
            "CLIP_ASSETS_PRED_TEXTS": "[a dog, a cat]",
            "CLIP_ASSETS_PICTURES": "off",
            "CLIP_ASSETS_SENSOR": "on",
            "CLIP_ASSETS_SENSOR_INTERVAL": "1",
            "CLIP_ASSETS_SETTLE_SECONDS": str(SETTLE_SECONDS),
            "PYTHONPATH": str(ROOT),
        }

    @property
    def store(self) -> Store:
        return Store(str(self.output))

    def put(self, clip: Callable[[Path], Any], *keys: str) -> None:
        """Write videos elsewhere and move them in, as a finished download appears."""
        for key in keys:
            made = self.home / Path(key).name
            clip(made)
            (self.videos / key).parent.mkdir(parents=True, exist_ok=True)
            made.replace(self.videos / key)


class SlowCopy(threading.Thread):
    """Copies a video in pieces.

    Attributes:
        longest_pause: Seconds between two pieces, at most; a busy machine makes it longer than was asked for.
    """

    def __init__(self, source: Path, target: Path, seconds: float) -> None:
        super().__init__()
        self.source, self.target, self.seconds = source, target, seconds
        self.longest_pause = 0.0
        self.start()

    def run(self) -> None:
        data = self.source.read_bytes()
        size = len(data) // 20 + 1
        written = time.monotonic()
        with self.target.open("wb") as file:
            for start in range(0, len(data), size):
                file.write(data[start : start + size])
                file.flush()
                self.longest_pause = max(self.longest_pause, time.monotonic() - written)
                written = time.monotonic()
                time.sleep(self.seconds / 20)


def partitions(server: DagsterServer, asset: str) -> tuple[set[str], set[str], set[str]]:
    """All, the materialized and the failed partitions of an asset."""
    node = server.query(PARTITIONS, key={"path": [asset]})["assetNodeOrError"]
    statuses = node["assetPartitionStatuses"]
    return set(node["partitionKeys"]), set(statuses["materializedPartitions"]), set(statuses["failedPartitions"])


def wait_for(server: DagsterServer, materialized: set[str], failed: set[str]) -> None:
    """Until every partition of the last asset is as it should be, and no other is there."""
    expected = (materialized | failed, materialized, failed)
    seen: list[Any] = []

    def as_expected() -> bool:
        seen[:] = partitions(server, "text_match")
        return tuple(seen) == expected

    try:
        wait_until(as_expected, PATIENCE, "partitions")
    except AssertionError as error:
        statuses = [run["status"] for run in runs(server)]
        raise AssertionError(f"expected {expected}, got {seen}; runs, the last one first: {statuses}") from error


def made_from(store: Store, key: str, video: Path) -> bool:
    """Whether everything stored for a partition was made from what the file holds now."""
    manifests = [store.manifest(asset, key) for asset in ASSETS]
    return all(manifest and manifest.parameters["source"] == fingerprint(video) for manifest in manifests)


def failure_of(server: DagsterServer, key: str) -> str:
    """The reason of the last run of a partition on its own, which must have failed."""
    run = runs(server, tags=[{"key": "dagster/partition", "value": key}])[0]
    assert run["status"] == "FAILURE"
    events = run["eventConnection"]["events"]
    (reason,) = [event["failureMetadata"]["description"] for event in events if "failureMetadata" in event]
    return str(reason)


def runs(server: DagsterServer, **filters: Any) -> list[dict[str, Any]]:
    """The runs that Dagster's `RunsFilter` lets through, the last one first."""
    found: list[dict[str, Any]] = server.query(RUNS, filter=filters)["runsOrError"]["results"]
    return found


def active(server: DagsterServer) -> list[dict[str, Any]]:
    """Runs that have not ended."""
    return runs(server, statuses=["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"])


@pytest.mark.timeout(900)
def test_a_folder_and_its_features_stay_in_step(tmp_path: Path) -> None:
    live(Folder(tmp_path))


def live(folder: Folder) -> None:
    """Drop, break, change, mend, remove and slowly copy videos; look at what became of each."""
    folder.put(corpus.constant_rate, "a.mp4", "b.mp4", "deep/er/c.mp4")
    folder.put(corpus.text_file, "z.mp4")
    with dagster_dev(folder.home, folder.environment) as server:
        wait_for(server, {"a.mp4", "b.mp4", "deep/er/c.mp4"}, {"z.mp4"})
        wait_until(lambda: not active(server), PATIENCE, "the broken video's own run")
        assert failure_of(server, "z.mp4").startswith("z.mp4: ")

        failures = len(runs(server, statuses=["FAILURE"]))
        source = corpus.variable_rate(folder.home / "slow.mp4").path
        slow = SlowCopy(source, folder.videos / "slow.mp4", seconds=3 * SETTLE_SECONDS)
        folder.put(corpus.single_frame, "b.mp4")
        folder.put(corpus.constant_rate, "z.mp4")
        (folder.videos / "a.mp4").unlink()
        good = {"b.mp4", "deep/er/c.mp4", "slow.mp4", "z.mp4"}
        slow.join()
        wait_until(lambda: all(made_from(folder.store, key, folder.videos / key) for key in good), PATIENCE, "results")
        wait_for(server, good, set())
        wait_until(lambda: not active(server), PATIENCE, "the last run")
        if slow.longest_pause < SETTLE_SECONDS:
            assert len(runs(server, statuses=["FAILURE"])) == failures, "a video was taken before it was whole"
        look_at_results(folder, server, good)
        assert made_from(folder.store, "a.mp4", folder.videos / "deep/er/c.mp4"), "results of a removed video are kept"

        variables = {"assetSelection": [{"path": [asset]} for asset in ASSETS], "partitionNames": sorted(good)}
        backfill = server.query(BACKFILL, params=variables)["launchPartitionBackfill"]
        wait_until(lambda: has_succeeded(server, backfill["backfillId"]), PATIENCE, "the backfill of the UI")
        look_at_results(folder, server, good)


def has_succeeded(server: DagsterServer, backfill: str) -> bool:
    """Whether a backfill is complete, without a failure."""
    answer = server.query(BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]
    return bool(answer["status"] == "COMPLETED_SUCCESS")


def look_at_results(folder: Folder, server: DagsterServer, keys: set[str]) -> None:
    """Everything is whole, made from what the files hold now, and fresh in Dagster's eyes."""
    for key in keys:
        assert made_from(folder.store, key, folder.videos / key)
        for asset in ASSETS:
            folder.store.read(asset, key, PER_VIDEO[asset].record)
            stale = server.query(STALE, key={"path": [asset]}, partition=key)["assetNodeOrError"]
            assert (stale["staleStatus"], stale["staleCauses"]) == ("FRESH", []), (asset, key)


def cut_the_power(server: DagsterServer) -> None:
    """Kill everything at once, the run too."""
    os.killpg(server.process_group, signal.SIGKILL)


def crash_and_recover(folder: Folder, kill: Callable[[DagsterServer], None], after: int) -> None:
    """Kill when so many videos of a batch of 40 have features, start again, and look at what became of each."""
    keys = {f"{number:02}.mp4" for number in range(40)}
    folder.environment["CLIP_ASSETS_VIDEOS_PER_RUN"] = "40"
    folder.put(corpus.constant_rate, *sorted(keys))
    features = folder.output / "clip_features"
    with dagster_dev(folder.home, folder.environment) as server:
        wait_until(lambda: len(list(features.glob("*/manifest.json"))) >= after, PATIENCE, "a part of the batch")
        kill(server)
    made = {path: path.stat().st_mtime_ns for path in features.glob("*/manifest.json")}
    with dagster_dev(folder.home, folder.environment) as server:
        wait_for(server, keys, set())
        wait_until(lambda: not active(server), PATIENCE, "the last run")
    assert len(made) >= after
    assert {path: path.stat().st_mtime_ns for path in made} == made, "what was stored was computed again"
    for key in keys:
        assert made_from(folder.store, key, folder.videos / key)
        for asset in ASSETS:
            folder.store.read(asset, key, PER_VIDEO[asset].record)


@pytest.mark.timeout(900)
def test_after_the_power_fails_in_mid_batch_only_what_is_missing_is_computed(tmp_path: Path) -> None:
    crash_and_recover(Folder(tmp_path), cut_the_power, after=13)
