"""Who may see the pages: this machine's browser, or one that has the token; and what a browser may do with them."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import URL, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")

MAX_UPLOAD_BYTES = 20 * 2**20
_FORM_BYTES = 2**16  # what a form has beside the picture

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_COOKIE = "clip_assets_session"


class Guard:
    """Answers in place of the pages where a request may not see them, and adds what protects them to each answer."""

    def __init__(self, app: ASGIApp, hosts: Collection[str] = LOOPBACK, token: str | None = None) -> None:
        """
        Args:
            app: The pages.
            hosts: Names that a browser may call this server by, without ports.
            token: What a browser has to know; None where none is asked for.
        """
        self._app = app
        self._hosts = {host.lower() for host in hosts}
        self._token = token
        self._session = secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "private, no-cache")
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_protected)

    def _refusal(self, request: Request) -> Response | None:
        """What a request gets that may not see the pages; None for one that may."""
        headers = request.headers
        if _name_of(headers.get("host", "")) not in self._hosts:
            return _told(403, "This server isn't called by that name. Start it with --allow-host NAME to allow it.")
        if _is_cross_site(request, has_cookie=self._token is not None):
            return _told(403, "Another site asked for this.")
        if request.method not in ("GET", "HEAD", "POST"):
            return _told(405, "Pages are read, and pictures are posted.")
        if request.method == "POST":
            length = headers.get("content-length", "")
            if not length.isdecimal():
                return _told(411, "The length of what is sent is missing.")
            if int(length) > MAX_UPLOAD_BYTES + _FORM_BYTES:
                return _told(413, f"A picture may have at most {MAX_UPLOAD_BYTES // 2**20} MB.")
        return self._without_token(request) if self._token is not None else None

    def _without_token(self, request: Request) -> Response | None:
        """Let in who has the session's cookie; give it to who has the token; refuse all others."""
        if _same(request.cookies.get(_COOKIE, ""), self._session):
            return None
        if not _same(request.query_params.get("token", ""), self._token or ""):
            return _told(403, "Open the address with the token that the server printed when it started.")
        url = URL(request.url.path).replace(query=request.url.remove_query_params("token").query)
        answer = RedirectResponse(f"/{str(url).lstrip('/')}", 303)
        answer.set_cookie(_COOKIE, self._session, httponly=True, samesite="strict", path="/")
        return answer


def _name_of(host: str) -> str:
    """The name in a Host header, without port and brackets; empty where it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower() if host else ""
    except ValueError:
        return ""


def _is_cross_site(request: Request, *, has_cookie: bool) -> bool:
    """Whether another site's page makes the browser ask, save for a link that is followed to a page.

    Browsers tell it of loopback addresses and by TLS; of others their Origin does, which is ``null`` for a form on a
    page without referrers, such as these. There the session's cookie, which no other site's request has, decides.
    """
    headers = request.headers
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return False
    if site is not None:
        follows_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return not (follows_link and request.method in ("GET", "HEAD") and _is_page(request.url.path))
    origin = headers.get("origin")
    if origin is None or (origin == "null" and has_cookie):
        return False
    return urlsplit(origin).netloc != headers.get("host")


def _is_page(path: str) -> bool:
    path = re.sub(r"^/library/[\w-]+(?=/)", "", path)
    return path in ("/", "/search", "/videos") or path.startswith("/video/")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())


def _told(status: int, words: str) -> Response:
    return PlainTextResponse(f"{words}\n", status)
