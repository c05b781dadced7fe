"""An S3 server on loopback, in this process, that counts what it is asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fsspec

BUCKET = "clip-assets"


@dataclass
class S3:
    """A running server with an empty bucket.

    Attributes:
        endpoint: Its address.
        requests: What was asked for, by method; a listing counts as ``LIST``.
        sent: Bytes of objects that were sent, by the first folder of their key.
    """

    endpoint: str
    requests: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        """What is asked for meanwhile."""
        before = self.requests.copy()
        asked: Counter[str] = Counter()
        yield asked
        asked.update(self.requests - before)


@contextmanager
def s3_server() -> Iterator[S3]:
    """Serve until the end; whoever opens ``s3://clip-assets/...`` meanwhile needs the environment of `environment`."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    served = DomainDispatcherApplication(create_backend_app)

    def counting(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        kind = "LIST" if method == "GET" and "list-type" in query else method
        s3.requests[kind] += 1
        answer: list[bytes] = list(served(environ, start_response))
        if kind == "GET":
            s3.sent[environ["PATH_INFO"].removeprefix(f"/{BUCKET}/").partition("/")[0]] += sum(map(len, answer))
        return answer

    server = make_server("127.0.0.1", 0, counting, threaded=True)
    s3 = S3(f"http://127.0.0.1:{server.port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield s3
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # the next server has another address
        server.shutdown()
        thread.join(10)


def environment(s3: S3) -> dict[str, str]:
    """By which S3's clients, s3fs among them, find the server."""
    return {
        "AWS_ENDPOINT_URL": s3.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }


def new_bucket() -> None:
    """Make the bucket, or an empty one in its place."""
    filesystem = fsspec.filesystem("s3")
    if filesystem.exists(BUCKET):
        filesystem.rm(BUCKET, recursive=True)
    filesystem.mkdir(BUCKET)
