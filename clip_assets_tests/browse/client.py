"""Requests to an ASGI application without a server, sent as a browser of this machine would."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class Client:
    """Asks one application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def start(self) -> None:
        """What a server does before the first request."""

        async def receive() -> Message:
            return {"type": "lifespan.startup"} if not sent else {"type": "lifespan.shutdown"}

        async def send(message: Message) -> None:
            sent.append(message)

        async def ask() -> None:
            await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)

        sent: list[Message] = []
        asyncio.run(ask())
        assert sent[0]["type"] == "lifespan.startup.complete"

    def get(self, address: str, **headers: str) -> Answer:
        """Headers are given with _ for -."""
        return self.send("GET", address, b"", **headers)

    def send(self, method: str, address: str, body: bytes, **headers: str) -> Answer:
        path, _, query = address.partition("?")
        given = {"host": "127.0.0.1:3001", **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 3001),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        async def ask() -> None:
            await self._app(scope, receive, send)

        asyncio.run(ask())
        start, *rest = sent
        told = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], told, b"".join(message.get("body", b"") for message in rest))

    def upload(self, address: str, data: bytes, **headers: str) -> Answer:
        """Post a file as the field ``picture`` of a form."""
        head = b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
        body = head + data + b"\r\n--edge--\r\n"
        kind = "multipart/form-data; boundary=edge"
        return self.send("POST", address, body, content_type=kind, content_length=str(len(body)), **headers)
