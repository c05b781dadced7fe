"""``clip-assets models``: every model that can be named, and what is known of each before it is loaded."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from clip_assets.core.errors import ModelError
from clip_assets.core.model.family import Offer
from clip_assets.models import FAMILIES
from clip_assets.project import load_settings


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``models``."""
    parser.add_argument("words", nargs="?", default="", metavar="WORDS", help="only names that contain this")
    parser.add_argument("--here", action="store_true", help="only those whose files are on this machine")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=models)


def models(arguments: Namespace) -> int:
    """Print the models."""
    folder = load_settings(arguments.library).weights
    offers: list[Offer] = []
    for family in FAMILIES:
        try:
            offers += family.offers(folder)
        except ModelError as error:
            sys.stderr.write(f"{family.name}: {error}\n")
    wanted = arguments.words.lower()
    offers = [one for one in offers if wanted in one.name.lower() and (one.is_here or not arguments.here)]
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(one) for one in offers], indent=1) + "\n")
    else:
        _print_table(offers)
    return 0


def _print_table(offers: list[Offer]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(Column("model", overflow="fold"), "width", "pixels", "score", "here", box=box.SIMPLE_HEAD)
    for one in offers:
        known = (one.feature_width, one.resolution, one.score_kind)
        cells = ["?" if value is None else str(value) for value in known]
        table.add_row(*map(Text, (one.name, *cells, "yes" if one.is_here else "no")))
    Console().print(table)
