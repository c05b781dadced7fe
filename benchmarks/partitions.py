"""Many partitions in one instance: registering them, `clip-assets status`, and what the UI asks the server.

    python benchmarks/partitions.py [--counts 1000 10000 100000] [--add 500] [--json]

A SQLite instance; videos are empty files, nothing is materialized. Only the last ``--add`` videos are registered by
`clip-assets add`, which observes each. What a sensor's tick costs is in ``sensor_tick.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from clip_assets.core.library.folder import Folder
from clip_assets.orchestration.instance import all_keys, register, registered
from clip_assets.orchestration.library_names import LibraryNames
from sensor_tick import make_library

STATUSES = """
{ assetNodeOrError(assetKey: {path: ["text_match"]}) { ... on AssetNode {
  partitionKeys
  assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions } }
} } }
"""
"""What the page of a partitioned asset asks for."""

RUNS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--add", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(Path(folder), count, arguments.add))
    print(json.dumps(rows, indent=1) if arguments.json else table(rows))


def measure(folder: Path, count: int, added: int) -> dict[str, float]:
    """One row, in seconds; ``add`` in seconds for each video."""
    videos, home = folder / "videos", folder / "home"
    make_library(videos, count)
    home.mkdir()
    (home / "dagster.yaml").touch()
    environment = {
        **os.environ, "DAGSTER_HOME": str(home), "CLIP_ASSETS_VIDEOS": str(videos),
        "CLIP_ASSETS_OUTPUT": str(folder / "output"), "CLIP_ASSETS_MODEL_NAME": "demo",
        "CLIP_ASSETS_DEVICE_IDS": "cpu",
    }  # fmt: skip
    every = all_keys(Folder(videos))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.add_dynamic_partitions(LibraryNames()("videos"), every[:-added])
        add = seconds(lambda: register(instance, LibraryNames(), Folder(videos), every[-added:])) / added
        listing = median_seconds(lambda: registered(instance, LibraryNames()))
    command = [sys.executable, "-m", "clip_assets.cli", "status"]
    status = median_seconds(
        lambda: subprocess.run(command, env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    )
    with webserver(environment, folder) as ask:
        ui = median_seconds(lambda: ask(STATUSES))
    return {"partitions": count, "add": add, "list": listing, "status": status, "ui": ui}


@contextmanager
def webserver(environment: dict[str, str], folder: Path) -> Iterator[Callable[[str], object]]:
    """A function that asks Dagster's webserver a GraphQL query, as long as the server runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]

    def ask(query: str) -> object:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", json.dumps({"query": query}).encode())
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    with subprocess.Popen(
        [*command, "-m", "clip_assets.definitions"],
        env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            wait_for_server(ask)
            yield ask
        finally:
            server.terminate()


def wait_for_server(ask: Callable[[str], object], patience: float = 120.0) -> None:
    """Until it answers."""
    end = time.monotonic() + patience
    while True:
        try:
            ask("{ version }")
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
        else:
            return


def seconds(work: Callable[[], object]) -> float:
    """Of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_seconds(work: Callable[[], object]) -> float:
    """Of several calls."""
    return statistics.median(seconds(work) for _ in range(RUNS))


def table(rows: list[dict[str, float]]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| partitions | add, ms a video | list, s | status, s | UI: an asset's partitions, s |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['partitions']} | {row['add'] * 1000:.0f} | {row['list']:.3f} | {row['status']:.1f} | {row['ui']:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
