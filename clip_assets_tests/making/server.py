"""Dagster's own server (`dagster dev`: webserver, daemon, code server) on loopback, asked over GraphQL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

COUNTS = """
query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numFailed }
} } }
"""

LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


class DagsterServer:
    """A running server."""

    def __init__(self, port: int, process_group: int) -> None:
        self.process_group = process_group
        self.url = f"http://127.0.0.1:{port}"

    def query(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data that the GraphQL query gives."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def launch(self, assets: list[str], partition: str) -> str:
        """Materialize assets of one partition as the UI does; the run's id."""
        params = {
            "selector": {
                "repositoryLocationName": "clip_assets",
                "repositoryName": "__repository__",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": [asset]} for asset in assets],
            },
            "mode": "default",
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
        }
        answer = self.query(LAUNCH, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        run_id: str = answer["run"]["runId"]
        return run_id

    def partition_counts(self, asset: str) -> tuple[int, int]:
        """How many partitions of an asset are materialized, and how many failed, as the UI counts them."""
        stats = self.query(COUNTS, key={"path": [asset]})["assetNodeOrError"]["partitionStats"]
        return stats["numMaterialized"], stats["numFailed"]

    def run_status(self, run_id: str) -> str:
        """The run's status, such as SUCCESS."""
        query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        status: str = self.query(query, id=run_id)["runOrError"]["status"]
        return status


def wait_until(check: Callable[[], T], seconds: float, what: str) -> T:
    """What ``check`` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return result


@contextmanager
def dagster_dev(home: Path, environment: dict[str, str], seconds: float = 90) -> Iterator[DagsterServer]:
    """A server on the instance ``home`` that has loaded the definitions; stopped with all its processes at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    workspace = Path(__file__).parents[2] / "workspace.yaml"
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)]
    with (home / "dev.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=home,
            env={**os.environ, **environment, "DAGSTER_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = DagsterServer(port, process.pid)
    try:
        wait_until(lambda: _has_loaded(server), seconds, f"dagster dev ({home / 'dev.log'})")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _has_loaded(server: DagsterServer) -> bool:
    query = "{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }"
    try:
        entries = server.query(query)["workspaceOrError"]["locationEntries"]
    except urllib.error.URLError:
        return False
    return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)
