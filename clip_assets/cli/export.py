"""``clip-assets export``: what is stored of all videos, as files of formats that other programs read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clip_assets.asking.library import Library
from clip_assets.asking.rows import Rows, moment_rows
from clip_assets.core.errors import ExportFolderError
from clip_assets.core.export.contents import CONTENTS
from clip_assets.core.export.formats import FORMATS
from clip_assets.core.export.table import of_videos, size_in_words
from clip_assets.core.file_systems import is_url
from clip_assets.progress_bar import ProgressBar
from clip_assets.project import load_settings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from clip_assets.core.export.table import Part


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``export``."""
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help=", ".join(FORMATS))
    parser.add_argument("folder", metavar="FOLDER", help="a new one, or that of an export to bring up to date")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--what", choices=CONTENTS, default="features", help="what a row is of (default: features)")
    what.add_argument("--find", metavar="SENTENCE", help="moments instead: those that go best with it")
    parser.add_argument("--top", type=int, default=1000, metavar="N", help="with --find: the most (default: 1000)")
    parser.add_argument("--per-video", type=int, default=3, metavar="N", help="with --find: of a video (default: 3)")
    parser.add_argument("--under", default="", metavar="FOLDER", help="only videos below this folder of the library")
    parser.add_argument("--float16", action="store_true", help="round vectors to half precision")
    parser.add_argument("--model", metavar="NAME", help="by default the settings', else the one most videos have")
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Export; 1 where some of it couldn't be read."""
    if is_url(arguments.folder):
        raise ExportFolderError(f"{arguments.folder} is a URL; an export is a folder of this machine")
    folder = Path(arguments.folder).absolute()
    settings = load_settings(arguments.library, model_name=arguments.model)
    rows = _rows(Library(settings), arguments)
    with ProgressBar(len(rows.table.parts)) as bar:

        def done(parts: Sequence[Part]) -> None:
            for part in parts:
                bar.looked_at(part.rows)
                bar.encoded(part.rows)
                bar.video_done()

        exported = rows.export(arguments.format, folder, done)
    files, kept = len(exported.written) + len(exported.kept), len(exported.kept)
    there = f", {kept} of them there already" if kept else ""
    sys.stdout.write(
        f"{exported.rows:,} rows{of_videos(exported.videos)}, {size_in_words(exported.size)}: "
        f"{files} file{'' if files == 1 else 's'}{there}.\n"
        f"{Path(arguments.folder) / 'README.md'} says how to read them.\n"
    )
    sys.stdout.flush()
    for note in rows.notes:
        sys.stderr.write(f"{note}\n")
    for key, reason in exported.unreadable.items():
        sys.stderr.write(f"failed: {key}: {reason}\n")
    return 1 if exported.unreadable else 0


def _rows(library: Library, arguments: Namespace) -> Rows:
    if arguments.find is None:
        return library.rows(arguments.what, under=arguments.under, float16=arguments.float16)
    found = library.find(
        arguments.find, top=arguments.top, per_video=arguments.per_video, under=arguments.under, refresh=True
    )
    return moment_rows(found, arguments.find)
