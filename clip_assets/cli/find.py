"""``clip-assets find`` and ``clip-assets similar``: ask the library from a terminal; tables, files, pages, clips."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_assets.asking.answers import Moment, Moments
from clip_assets.asking.library import Library
from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.store.keys import escape_key
from clip_assets.project import load_settings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from rich.table import Table

    from clip_assets.core.library.source import VideoSource

COLUMNS = tuple(field.name for field in fields(Moment) if not field.name.startswith("_"))

_EMPTY = (
    "Nothing is stored in {output} yet. Extract videos first: clip-assets add FOLDER, then materialize the assets "
    "(clip-assets dev opens the UI); or see what it is like: clip-assets demo\n"
)
_LONGEST_NAME = 120


def add_find_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``find``."""
    several: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument("sentence", nargs="?", metavar="SENTENCE", help='what to look for, as in "a dog smiles"')
    parser.add_argument("--text", **several, metavar="WORDS", help='a sentence and perhaps its weight: "a dog:0.5"')
    parser.add_argument("--image", **several, metavar="FILE", help="a picture to look for")
    parser.add_argument("--like", **several, metavar="KEY@SECONDS", help="more like this moment, as in a.mp4@12-15")
    parser.add_argument("--not", **several, dest="without", metavar="WORDS", help="what it should be unlike")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="the most moments (default: 20)")
    parser.add_argument("--per-video", type=int, default=3, metavar="N", help="the most of a video (default: 3)")
    parser.add_argument("--min-score", type=float, metavar="COSINE", help="leave out moments below")
    parser.add_argument("--under", default="", metavar="FOLDER", help="only videos below this folder of the library")
    parser.add_argument("--refresh", action="store_true", help="compare a library of 1,000 and more videos first")
    _add_output_arguments(parser)
    parser.add_argument("--csv", action="store_true", help="print a table for programs")
    parser.add_argument("--html", type=_absolute, metavar="FILE", help="write one page with pictures, to send")
    parser.add_argument("--clips", type=_absolute, metavar="FOLDER", help="write each moment as an mp4 file")
    parser.add_argument("--llc", type=_absolute, metavar="FOLDER", help="write LosslessCut projects, one a video")
    parser.set_defaults(run=find)


def add_similar_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``similar``."""
    parser.add_argument("key", metavar="KEY", help="the video's path below the library")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="the most videos (default: 10)")
    _add_output_arguments(parser)
    parser.set_defaults(run=similar)


def find(arguments: Namespace) -> int:
    """Print what was found; 1 where nothing is stored that could be."""
    images = [str(_absolute(image)) for image in arguments.image]
    library = _open(arguments)
    if library is None:
        return 1
    found = library.find(
        arguments.sentence,
        text=arguments.text,
        image=images,
        like=arguments.like,
        without=arguments.without,
        top=arguments.top,
        per_video=arguments.per_video,
        min_score=arguments.min_score,
        under=arguments.under,
        refresh=arguments.refresh,
    )
    if arguments.json:
        _print(json.dumps(as_json(found), indent=1))
    elif arguments.csv:
        _print(as_csv(found).rstrip("\n"))
    else:
        _print_table(found)
    failed = _write_files(library, found, arguments)
    for note in found.notes:
        _note(note)
    library.wait()
    return 1 if failed else 0


def similar(arguments: Namespace) -> int:
    """Print the videos that are like another; 1 where nothing is stored."""
    library = _open(arguments)
    if library is None:
        return 1
    found = library.similar(arguments.key, arguments.top)
    if arguments.json:
        _print(json.dumps([vars(video) for video in found], indent=1))
    else:
        table = _table("video", "score")
        for video in found:
            _add_row(table, video.key, f"{video.score:.3f}")
        _print_rich(table)
    library.wait()
    return 0


def as_json(found: Moments) -> dict[str, Any]:
    """An answer as plain JSON values."""
    return {
        "moments": [{name: getattr(moment, name) for name in COLUMNS} for moment in found],
        "names": found.names,
        "notes": found.notes,
        "as_of": found.as_of.isoformat() if found.as_of else None,
    }


def as_csv(found: Moments) -> str:
    """An answer as CSV (RFC 4180): a line for each moment; what ``also_in`` names is joined by line breaks."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for moment in found:
        values = {name: getattr(moment, name) for name in COLUMNS}
        writer.writerow({**values, "also_in": "\n".join(moment.also_in)}.values())
    return buffer.getvalue()


def as_html(question: str, found: Moments) -> str:
    """An answer as one page that needs no other file."""
    from clip_assets.cli.show import as_page
    from clip_assets.results.sections import Section

    parts = [Section(moment.key, _in_words(moment), pictures=_pictures(moment)) for moment in found]
    return as_page(question, parts or [Section("Nothing found")])


def write_projects(found: Moments, videos: VideoSource, folder: Path) -> list[Path]:
    """A LosslessCut project for each video, with its moments as segments, in order of time."""
    written = []
    for key, moments in groupby(sorted(found, key=lambda moment: (moment.key, moment.from_ms)), lambda one: one.key):
        path = folder / f"{escape_key(key)}.llc"
        path.parent.mkdir(parents=True, exist_ok=True)
        segments = [
            {"start": one.from_ms / 1000, "end": one.to_ms / 1000, "name": f"{one.score:.3f}"} for one in moments
        ]
        where = videos.where(key)
        media = Path(os.path.relpath(where, path.parent)).as_posix() if videos.is_local else where
        project = {"version": 1, "mediaFileName": media, "cutSegments": segments}
        path.write_text(json.dumps(project, indent=1), encoding="utf-8")
        written.append(path)
    return written


def write_clip(moment: Moment, rank: int, videos: VideoSource, folder: Path) -> Path:
    """A moment as a file of its own.

    Raises:
        VideoError: The video can't be read.
    """
    from clip_assets.core.video.clips import cut

    folder.mkdir(parents=True, exist_ok=True)
    name = escape_key(moment.key).replace("/", "_").encode()[-_LONGEST_NAME:].decode(errors="ignore")
    path = folder / f"{rank:02d}_{name}_{moment.from_ms / 1000:.2f}-{moment.to_ms / 1000:.2f}.mp4"
    with videos.local(moment.key) as video:
        cut(video, moment.from_ms, moment.to_ms, path)
    return path


def _add_output_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="by default the settings', else the one most videos have")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _open(arguments: Namespace) -> Library | None:
    """The library, compared if that is quickly done or was never; None where nothing is stored."""
    settings = load_settings(arguments.library, model_name=arguments.model)
    library = Library(settings)
    library.compare_if_small(_progress if sys.stderr.isatty() else None)
    if library.count():
        return library
    sys.stderr.write(_EMPTY.format(output=settings.output))
    return None


def _write_files(library: Library, found: Moments, arguments: Namespace) -> bool:
    """Write what was asked for beside the table; whether some of it failed."""
    failed = False
    if arguments.html:
        question = " + ".join([arguments.sentence or "", *arguments.text, *arguments.image, *arguments.like]).strip(
            " +"
        )
        arguments.html.write_text(as_html(question, found), encoding="utf-8", errors="backslashreplace")
        _note(f"{arguments.html}")
    if arguments.llc:
        for path in write_projects(found, library.source, arguments.llc):
            _note(f"{path}")
    if arguments.clips:
        for rank, moment in enumerate(found, start=1):
            try:
                _note(f"{write_clip(moment, rank, library.source, arguments.clips)}")
            except ClipAssetsError as error:
                failed = True
                _note(f"failed: {moment.key}: {error}")
    return failed


def _print_table(found: Moments) -> None:
    for name in found.names:
        _print(f"name: {name}")
    kind = next((moment.score_kind for moment in found if moment.score_kind), "")  # one model has one
    table = _table("video", "from - to (s)", "best", "score", *([f"{kind} probability", "fits better"] if kind else []))
    for moment in found:
        also = "".join(f"\nalso in {key}" for key in moment.also_in)
        cells = [f"{moment.key}{also}", _span(moment), f"{moment.best_ms / 1000:.2f}", f"{moment.score:.3f}"]
        if moment.probability is not None:
            cells += [f"{moment.probability:.1%}", moment.fits_better]
        _add_row(table, *cells)
    if len(found):
        _print_rich(table)
    else:
        _print("Nothing found.")
    if found.as_of:
        _note(f"As of {found.as_of.astimezone():%Y-%m-%d %H:%M:%S}.")


def _in_words(moment: Moment) -> str:
    words = f"{_span(moment)} s, best at {moment.best_ms / 1000:.2f} s, score {moment.score:.3f}"
    if moment.probability is not None:
        words += f", probability {moment.probability:.1%} ({moment.score_kind})"
    if moment.fits_better:
        words += f", fits better: {moment.fits_better}"
    return words + "".join(f"; also in {key}" for key in moment.also_in)


def _span(moment: Moment) -> str:
    return f"{moment.from_ms / 1000:.2f} - {moment.to_ms / 1000:.2f}"


def _pictures(moment: Moment) -> list[Any]:
    """The moment's thumbnail as a page shows it, if there is one."""
    from clip_assets.core.picture import Picture

    try:
        thumbnail = moment.thumbnail()
    except ClipAssetsError:
        return []
    buffer = io.BytesIO()
    thumbnail.convert("RGB").save(buffer, "JPEG", quality=85)
    return [Picture("moment.jpg", buffer.getvalue(), f"{moment.key} near {moment.best_ms / 1000:.2f} s")]


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Column
    from rich.table import Table as RichTable

    first, *others = columns
    return RichTable(Column(first, overflow="fold"), *others, box=box.SIMPLE_HEAD)


def _add_row(table: Table, *cells: str) -> None:
    from rich.text import Text

    table.add_row(*map(Text, cells))


def _print_rich(table: Table) -> None:
    from rich.console import Console

    Console().print(table)


def _print(line: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(f"{line}\n".encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _note(line: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{line}\n")


def _progress(done: int, of: int) -> None:
    end = "\n" if done == of else ""
    sys.stderr.write(f"\rreading what is new: {done} of {of} videos{end}")
    sys.stderr.flush()


def _absolute(path: str) -> Path:
    return Path(path).absolute()
