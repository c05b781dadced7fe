"""The web application: which address is answered by what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from clip_assets.asking.library import Library
from clip_assets.browse.guard import LOOPBACK, Guard
from clip_assets.browse.holdings import Holdings, StatesProvider
from clip_assets.browse.pages import Pages, Shelf, static_folder
from clip_assets.browse.pictures import Pictures
from clip_assets.browse.playing import Playing
from clip_assets.browse.question import Question
from clip_assets.browse.ranges import ranged
from clip_assets.browse.readiness import Readiness
from clip_assets.browse.refreshed import Refreshed
from clip_assets.browse.uploads import Uploads
from clip_assets.core.errors import ClipAssetsError, PartitionKeyError, QueryError, ResultMissingError, VideoError
from clip_assets.core.store import Store
from clip_assets.results.assets import PER_VIDEO

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from clip_assets.settings import LibrarySettings

_DECODERS = 2
_WORKERS_SECONDS = 5.0
_FOREVER = {"Cache-Control": "private, max-age=604800, immutable"}


@dataclass(frozen=True)
class Served:
    """A library that is served.

    Attributes:
        settings: Where its videos and results are, and the model.
        states: Tells the state of each registered video; None where nobody does.
        workers: Tells which runs are at work, in lines; None where nobody does.
    """

    settings: LibrarySettings
    states: StatesProvider | None = None
    workers: Callable[[], Sequence[str]] | None = None

    def shelf(self, root: str, dagster: str | None) -> Shelf:
        """Where its pages are."""
        videos = self.settings.source.where()
        label = self.settings.name or Path(videos).name
        return Shelf(label, root, dagster.rstrip("/") if dagster else None, self.settings.prefix, videos)


def create_app(
    settings: LibrarySettings,
    *,
    states: StatesProvider | None = None,
    workers: Callable[[], Sequence[str]] | None = None,
    others: Sequence[Served] = (),
    dagster: str | None = None,
    hosts: Collection[str] = LOOPBACK,
    token: str | None = None,
) -> ASGIApp:
    """The pages of a library, and below ``/library/NAME`` those of others.

    Args:
        settings: Where the videos and the results are, and the model.
        states: Tells the state of each registered video; None where nobody does.
        workers: Tells which runs are at work, in lines; None where nobody does.
        others: Further libraries; all but one have a name.
        dagster: The address of Dagster's UI, to link to; None where it isn't known.
        hosts: Names that a browser may call this server by, without ports.
        token: What a browser has to know; None where none is asked for.
    """
    roots = ["", *(f"/library/{one.settings.name or '-'}" for one in others)]
    served = [Served(settings, states, workers), *others]
    shelves = [one.shelf(root, dagster) for one, root in zip(served, roots, strict=True)]
    rooms = [_Room(one, shelf, shelves) for one, shelf in zip(served, shelves, strict=True)]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        rooms[0].readiness.begin()
        yield

    routes: list[BaseRoute] = [
        Mount("/static", StaticFiles(directory=static_folder())),
        *(Mount(room.shelf.root, room.app()) for room in rooms[1:]),
        *rooms[0].routes(),
    ]
    app = Starlette(routes=routes, exception_handlers=rooms[0].handlers(), lifespan=lifespan)
    return Guard(app, hosts, token)


class _Room:
    """The pages of one library."""

    def __init__(self, served: Served, shelf: Shelf, shelves: Sequence[Shelf]) -> None:
        settings = served.settings
        store, uploads, library = Store(settings.output), Uploads(), Library(settings)
        holdings = Holdings(store, served.states)
        holdings.begin()
        self.shelf = shelf
        self.readiness = Readiness(library.prepare)
        workers: Refreshed[Sequence[str]] = Refreshed(served.workers or tuple, (), _WORKERS_SECONDS)
        self._pages = Pages(library, store, holdings, self.readiness, uploads, shelf, shelves, workers)
        self._media = Media(store, settings, uploads)

    def routes(self) -> list[BaseRoute]:
        pages, media = self._pages, self._media
        return [
            Route("/", pages.first),
            Route("/search", pages.search),
            Route("/search", media.upload, methods=["POST"]),
            Route("/videos", pages.videos),
            Route("/video/{key:path}", pages.video),
            Route("/picture/{key:path}", media.picture),
            Route("/stored/{key:path}", media.stored),
            Route("/media/{key:path}", media.original),
            Route("/stretch/{key:path}", media.stretch),
            Route("/upload/{name}", media.uploaded),
        ]

    def handlers(self) -> dict[Any, Any]:
        return {ClipAssetsError: self._told, HTTPException: self._told}

    def app(self) -> Starlette:
        return Starlette(routes=self.routes(), exception_handlers=self.handlers())

    def _told(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return self._pages.problem(error.status_code, error.detail, "There is no such page here.")
        if isinstance(error, ResultMissingError | PartitionKeyError | VideoError):
            return self._pages.problem(404, "Not found", str(error))
        return self._pages.problem(400 if isinstance(error, QueryError) else 500, "That didn't work", str(error))


class Media:
    """Answers with pictures and videos; no more are decoded at once than leave the machine to others."""

    def __init__(self, store: Store, settings: LibrarySettings, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads
        self._pictures = Pictures(store, settings.source)
        self._playing = Playing(store, settings.source)
        self._decoders = CapacityLimiter(_DECODERS)
        self._encoders = CapacityLimiter(1)

    async def picture(self, request: Request) -> Response:
        """A picture of a moment: ``t``, and the kept one from ``from`` to ``to`` unless a ``sharp`` one is wanted."""
        key = request.path_params["key"]
        best, begin, end = (_ms(request, name) for name in ("t", "from", "to"))
        data = None
        if "sharp" not in request.query_params:
            data = await to_thread.run_sync(self._pictures.kept, key, best, min(begin, best), max(end, best))
        if data is None:
            data = await to_thread.run_sync(self._pictures.decoded, key, best, limiter=self._decoders)
        return _picture(data, "image/jpeg", is_final="v" in request.query_params)

    def stored(self, request: Request) -> Response:
        """A picture that is stored beside a result of ``asset``, by its file's ``name``."""
        key, asset, name = request.path_params["key"], *(request.query_params.get(one, "") for one in ("asset", "name"))
        manifest = self._store.manifest(asset, key) if asset in PER_VIDEO else None
        found = self._store.picture(manifest, name) if manifest else None
        if found is None:
            raise ResultMissingError(f"There is no picture {name!r} of {key!r}.")
        return _picture(found.data, "image/png" if name.endswith(".png") else "image/jpeg", is_final=False)

    def original(self, request: Request) -> Response:
        """A video as it is, whole or in ranges."""
        original = self._playing.original(request.path_params["key"])
        if original.file is None:
            return ranged(original, request.headers.get("range", ""))
        return FileResponse(original.file, media_type=original.media_type)

    async def stretch(self, request: Request) -> Response:
        """The stretch of a video that begins at ``from``, encoded anew."""
        key, begin = request.path_params["key"], _ms(request, "from")
        path = await to_thread.run_sync(self._playing.stretch, key, begin, limiter=self._encoders)
        return FileResponse(path, media_type="video/mp4")

    async def upload(self, request: Request) -> Response:
        """Take a picture to look for, and lead to what goes with it."""
        question = Question.of(request.query_params)
        async with request.form(max_files=1, max_fields=20) as form:
            given = form.get("picture")
            if given is None or isinstance(given, str) or not given.size:
                raise QueryError("No picture was chosen.")
            data = await given.read()
        name = await to_thread.run_sync(self._uploads.add, data, limiter=self._decoders)
        return RedirectResponse(request.scope.get("root_path", "") + question.url(image=name, at=""), 303)

    def uploaded(self, request: Request) -> Response:
        """A picture that was uploaded, small."""
        return _picture(self._uploads.shown(request.path_params["name"]), "image/jpeg", is_final=False)


def _picture(data: bytes, kind: str, *, is_final: bool) -> Response:
    return Response(data, media_type=kind, headers=_FOREVER if is_final else None)


def _ms(request: Request, name: str) -> float:
    """A time of an address, given in seconds.

    Raises:
        QueryError: It is none.
    """
    words = request.query_params.get(name, "0")
    try:
        seconds = float(words)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e7:
        raise QueryError(f"{name} is {words[:80]!r}; allowed are seconds.")
    return 1000 * seconds
