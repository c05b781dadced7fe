"""The pages: what each shows, as values for its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from clip_assets.advice import PLATFORM, explain
from clip_assets.asking.answers import Moment, Moments
from clip_assets.browse import question as questions
from clip_assets.browse import stage, words
from clip_assets.browse.charts import HEIGHT, WIDTH, across
from clip_assets.browse.holdings import FEATURES, FRAMES, Holdings, Video
from clip_assets.browse.listing import SIZES, SORTS, STATES, Listing
from clip_assets.browse.question import Question
from clip_assets.core.errors import ClipAssetsError, QueryError, ResultMissingError
from clip_assets.core.library.keys import validate_key
from clip_assets.core.search.queries import Place, parse_place
from clip_assets.results.sections import sections

if TYPE_CHECKING:
    from starlette.requests import Request

    from clip_assets.asking.library import Library
    from clip_assets.browse.readiness import Readiness
    from clip_assets.browse.refreshed import Refreshed
    from clip_assets.browse.uploads import Uploads
    from clip_assets.core.store import Store

_FAILED = 12
_EXAMPLES = 3
_SIMILAR = 6
_PATIENCE = 0.25


@dataclass(frozen=True)
class Shelf:
    """Where the pages of a library are, beside those of others.

    Attributes:
        label: What people call the library.
        root: What its addresses begin with; empty for the first one.
        dagster: The address of Dagster's UI; None where it isn't known.
        prefix: What the library's asset keys begin with there.
        videos: Where its videos are: libraries of the same ones may differ in their model.
    """

    label: str
    root: str = ""
    dagster: str | None = None
    prefix: str = ""
    videos: str = ""


class Pages:
    """Answers with HTML; the methods are called in threads."""

    def __init__(
        self,
        library: Library,
        store: Store,
        holdings: Holdings,
        readiness: Readiness,
        uploads: Uploads,
        shelf: Shelf,
        shelves: Sequence[Shelf],
        workers: Refreshed[Sequence[str]],
    ) -> None:
        self._library = library
        self._store = store
        self._holdings = holdings
        self._readiness = readiness
        self._uploads = uploads
        self._shelf = shelf
        self._workers = workers
        self._templates = Environment(
            loader=PackageLoader("clip_assets.browse"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(words.FILTERS)
        self._templates.globals.update(WIDTH=WIDTH, HEIGHT=HEIGHT)
        self._templates.globals.update(
            root=shelf.root,
            shelves=shelves,
            videos_at=shelf.videos,
            address=self._address,
            place=questions.place,
            without=questions.without,
            drawn_size=stage.drawn_size,
        )

    def _address(self, kind: str, key: str, **parameters: str | float | None) -> str:
        return self._shelf.root + questions.address(kind, key, **parameters)

    def first(self, request: Request) -> Response:
        """What the library holds, and where to ask."""
        overview = self._holdings.overview()
        failed, newest = overview.videos.failed, overview.videos.newest
        return self._page(
            "first.html",
            question=Question(),
            overview=overview,
            readiness=self._readiness.told,
            workers=self._workers.get(_PATIENCE),
            states=STATES,
            failed=failed[:_FAILED],
            failed_count=len(failed),
            newest=newest,
            examples=stage.examples(self._store, [video.key for video in newest[:_EXAMPLES]]),
            videos_folder=self._library.source.where(),
        )

    def search(self, request: Request) -> Response:
        """Moments that go with what is asked for, and one of them played."""
        question = Question()
        try:
            question = Question.of(request.query_params)
            picture = self._uploads.get(question.image) if question.image else None
            arguments = question.arguments(picture)
            if not question.is_asked:
                return self._answer(question, None)
            found = self._found(question, arguments)
            return self._answer(question, found, self._stage(question, found, arguments) if question.at else None)
        except ClipAssetsError as error:
            return self._answer(question, None, problem=explain(error, PLATFORM), status=_status(error))

    def _found(self, question: Question, arguments: dict[str, Any]) -> Moments:
        """The moments that were found, without those that were said to be wrong."""
        unlike = [parse_place(words) for words in question.unlike]
        found = self._library.find(
            **arguments,
            top=question.top + len(unlike),
            per_video=question.per_video,
            min_score=question.min_score,
            under=question.under,
        )
        moments = [moment for moment in found if not any(_is_same(moment, place) for place in unlike)]
        return replace(found, moments=tuple(moments[: question.top]))

    def _answer(
        self, question: Question, found: Moments | None, played: Any = None, problem: str = "", status: int = 200
    ) -> Response:
        overview = self._holdings.overview()
        best = max((moment.score for moment in found), default=0.0) if found else 0.0
        return self._page(
            "search.html",
            status,
            question=question,
            found=found,
            best=best,
            videos=overview.videos,
            stage=played,
            problem=problem,
        )

    def _stage(self, question: Question, found: Moments, arguments: dict[str, Any]) -> dict[str, Any]:
        """What is shown of the moment that is played."""
        played = parse_place(question.at)
        scores = self._library.scores(played.key, **arguments)
        moments = sorted((moment for moment in found if moment.key == played.key), key=lambda moment: moment.from_ms)
        chart = stage.timeline(scores, moments, played)
        return {
            "key": played.key,
            "played": played,
            "timeline": chart,
            "moment": next((mark.moment for mark in chart.marks if mark.is_played), None),
            "size": stage.picture_size(self._store, played.key),
        }

    def video(self, request: Request) -> Response:
        """One video: player, shots, sentences over time, facts."""
        key = request.path_params["key"]
        validate_key(key)
        video = self._holdings.video(key)
        is_stored = self._store.manifest(FEATURES, key) is not None
        if video is None and not is_stored:
            raise ResultMissingError(f"There is no video {key!r} here.")
        video = video or Video(key, "stored")
        try:
            parts = sections(self._store, key)
        except ResultMissingError:
            parts = []
        at_ms = 1000 * _seconds(request.query_params.get("t", ""))
        shots = stage.shots(self._library, key) if is_stored else []
        duration_ms = max(1000 * (video.seconds or 0.0), shots[-1].last_ms if shots else 0.0)
        return self._page(
            "video.html",
            question=Question(),
            video=replace(video, seconds=video.seconds or duration_ms / 1000 or None),
            is_stored=is_stored,
            at_ms=at_ms,
            duration_ms=duration_ms,
            x=across(at_ms, duration_ms),
            size=stage.picture_size(self._store, key),
            shots=shots,
            sentences=stage.sentences(self._store, key, duration_ms),
            similar=self._similar(key) if is_stored else [],
            parts=parts,
            files=[str(self._store.path(part.title, key)) for part in parts],
            path=self._library.source.where(key),
            dagster=self._in_dagster(FEATURES if is_stored else FRAMES, key),
        )

    def _in_dagster(self, asset: str, key: str) -> str | None:
        if self._shelf.dagster is None:
            return None
        asset_path = f"{self._shelf.prefix}/{asset}" if self._shelf.prefix else asset
        return self._shelf.dagster + questions.address("assets", asset_path, view="partitions", partition=key)

    def _similar(self, key: str) -> list[Video]:
        try:
            similar = self._library.similar(key, _SIMILAR)
        except QueryError:  # it is stored, and isn't searched: another model's, say
            return []
        known = self._holdings.overview().videos.by_key
        return [known.get(one.key, Video(one.key, "stored")) for one in similar]

    def videos(self, request: Request) -> Response:
        """All videos, by pages."""
        overview = self._holdings.overview()
        listing = Listing.of(request.query_params)
        return self._page(
            "videos.html",
            question=Question(),
            overview=overview,
            listing=listing,
            shown=listing.of_videos(overview.videos),
            sorts=[(word, told) for word, (told, _, _) in SORTS.items()],
            sizes=SIZES,
            states=STATES,
        )

    def problem(self, status: int, title: str, told: str) -> Response:
        """A page that says what went wrong."""
        return self._page("problem.html", status, question=Question(), title=title, told=told)

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(**values), status)


def _seconds(given: str) -> float:
    """A time of an address; 0 where it is none."""
    try:
        return min(max(float(given), 0.0), 1e7) if given else 0.0
    except ValueError:
        return 0.0


def _is_same(moment: Moment, place: Place) -> bool:
    """Whether the best of a moment lies in a place, or the place's middle in the moment."""
    middle_ms = (place.from_ms + place.to_ms) / 2
    return moment.key == place.key and (
        place.from_ms <= moment.best_ms <= place.to_ms or moment.from_ms <= middle_ms <= moment.to_ms
    )


def _status(error: ClipAssetsError) -> int:
    return 400 if isinstance(error, QueryError) else 500


def static_folder() -> Path:
    """Where the style sheet and the script are."""
    return Path(__file__).parent / "static"
