"""The pages behind a port of this machine, for a browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from clip_assets.browse.app import create_app
from clip_assets.settings import Settings


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address of an application that is served from a thread of this process."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def browsed(environment: Mapping[str, str]) -> Iterator[str]:
    """The address of the pages of a deployment that these variables name."""
    videos, output = Path(environment["CLIP_ASSETS_VIDEOS"]), environment["CLIP_ASSETS_OUTPUT"]
    with served(create_app(Settings(videos=videos, output=output, model_name="demo", device_ids="cpu"))) as address:
        yield address
