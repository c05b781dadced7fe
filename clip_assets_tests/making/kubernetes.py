"""A small Kubernetes API on loopback: Jobs as they were posted, with a pod for each, and what became of them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import yaml

JOBS = re.compile(r"/apis/batch/v1/namespaces/(?P<namespace>[^/]+)/jobs(/(?P<name>[^/]+)(/status)?)?")
PODS = re.compile(r"/api/v1/namespaces/(?P<namespace>[^/]+)/pods(/(?P<name>[^/]+))?")
EVENTS = re.compile(r"/api/v1/namespaces/[^/]+/events")


@dataclass
class Cluster:
    """What is in it.

    Attributes:
        kubeconfig: The file by which it is found.
        jobs: By name.
        pods: By name; a Job has one.
        fault: What it says to all that it is asked, a status of HTTP; "none" where it closes the connection instead.
    """

    kubeconfig: Path
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    fault: int | Literal["none", ""] = ""

    def create(self, job: dict[str, Any], namespace: str) -> dict[str, Any]:
        """As the API does, and the controller of Jobs soon after."""
        name = job["metadata"]["name"]
        job["metadata"]["namespace"] = namespace
        self.jobs[name] = job | {"status": {"active": 1}}
        metadata = {"name": f"{name}-abcde", "namespace": namespace, "labels": {"job-name": name}}
        self.pods[metadata["name"]] = {"metadata": metadata, "spec": job["spec"]["template"]["spec"], "status": {}}
        return job

    def lose_pod(self, job: str) -> None:
        """A node was drained, or the pod needed more memory than it may have: its Job has failed."""
        del self.pods[f"{job}-abcde"]
        self.jobs[job]["status"] = {"failed": 1, "conditions": [{"type": "Failed", "status": "True"}]}


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Serve until the end; the kubeconfig is in a folder."""
    made = Cluster(folder / "kubeconfig")
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": made}))
    made.kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "tests",
                "clusters": [{"name": "tests", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "tests", "user": {"token": "any"}}],
                "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
            }
        )
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """The verbs that launchers use."""

    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._is_away():
            return
        found = JOBS.fullmatch(self.path)
        assert found, self.path
        self._say(201, self.cluster.create(body, found["namespace"]))

    def do_GET(self) -> None:
        if self._is_away():
            return
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if EVENTS.fullmatch(path):
            self._say(200, {"items": []})
        elif found := JOBS.fullmatch(path):
            self._show(self.cluster.jobs, found, query)
        elif found := PODS.fullmatch(path):
            self._show(self.cluster.pods, found, query)
        else:
            raise AssertionError(self.path)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._is_away():
            return
        found = JOBS.fullmatch(self.path) or PODS.fullmatch(self.path)
        assert found, self.path
        kind = self.cluster.jobs if "/jobs" in self.path else self.cluster.pods
        if self._there(kind, found):
            del kind[found["name"]]
            self._say(200, {"kind": "Status", "status": "Success"})

    def log_message(self, *arguments: object) -> None:
        """Nowhere."""

    def _show(self, kind: dict[str, dict[str, Any]], found: re.Match[str], query: dict[str, list[str]]) -> None:
        if found["name"]:
            if self._there(kind, found):
                self._say(200, kind[found["name"]])
            return
        chosen = list(kind.values())
        for wanted in query.get("labelSelector", []):
            label, value = wanted.split("=")
            chosen = [one for one in chosen if one["metadata"]["labels"].get(label) == value]
        for wanted in query.get("fieldSelector", []):
            chosen = [one for one in chosen if one["metadata"]["name"] == wanted.removeprefix("metadata.name=")]
        self._say(200, {"items": chosen})

    def _there(self, kind: dict[str, dict[str, Any]], found: re.Match[str]) -> bool:
        one = kind.get(found["name"])
        if one is None or one["metadata"]["namespace"] != found["namespace"]:
            self._say(404, {"kind": "Status", "code": 404, "reason": "NotFound"})
            return False
        return True

    def _is_away(self) -> bool:
        fault = self.cluster.fault
        if fault == "none":
            self.close_connection = True
        elif fault:
            self._say(fault, {"kind": "Status", "code": fault})
        return bool(fault)

    def _say(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
