"""What is stored of one video, for the terminal and as a page to send to a colleague."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ResultMissingError
from clip_assets.core.records import RECORD_TYPES
from clip_assets.results import facts
from clip_assets.results.summaries import FeatureSummary, FrameSummary, MatchSummary, ShotSummary

if TYPE_CHECKING:
    from rich.console import RenderableType

    from clip_assets.core.pictures import Picture
    from clip_assets.core.store import Store
    from clip_assets.core.store.manifest import Manifest


@dataclass(frozen=True)
class Table:
    """Rows under the names of their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Section:
    """What there is to see of one asset.

    Attributes:
        title: The asset's name.
        note: One line that comes first; may be empty.
        tables: In order.
        pictures: Those that are stored.
    """

    title: str
    note: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default_factory=list)


def sections(store: Store, key: str) -> list[Section]:
    """What there is to see of a partition, asset by asset.

    Raises:
        ResultMissingError: Nothing of it is stored.
    """
    manifests = [store.manifest(asset, key) for asset in RECORD_TYPES]
    if not any(manifests):
        raise ResultMissingError(f"Nothing is stored for {key!r} in {store.root}. `clip-assets status` lists what is.")
    return [
        _section(manifest, store.pictures(manifest)) if manifest else Section(asset, "Nothing is stored.")
        for asset, manifest in zip(RECORD_TYPES, manifests, strict=True)
    ]


def as_text(key: str, parts: Sequence[Section]) -> Iterator[RenderableType]:
    """The sections for a terminal, the pictures aside."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    yield Text(key, style="bold")
    for part in parts:
        yield Text(f"\n{part.title}", style="bold")
        if part.note:
            yield Text(part.note)
        for table in part.tables:
            shown = RichTable(*table.columns, box=box.SIMPLE_HEAD)
            for row in table.rows:
                shown.add_row(*(Text(str(value)) for value in row))
            yield shown


def as_page(key: str, parts: Sequence[Section]) -> str:
    """The sections as one HTML page that needs no other file; readable in light and dark."""
    body = "\n".join(_section_html(part) for part in parts)
    title = html.escape(key)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ border-bottom: 1px solid #8888; padding: .25rem .8rem .25rem 0; text-align: left; }}
figure {{ margin: 1.5rem 0; }}
img {{ max-width: 100%; height: auto; }}
figcaption {{ font-size: .85rem; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def _section(manifest: Manifest, pictures: Sequence[Picture]) -> Section:
    note, tables = _DESCRIBE[manifest.asset](manifest)
    return Section(manifest.asset, note, tables, pictures)


def _facts(manifest: Manifest, rows: facts.Rows) -> Table:
    """What there is to know of a result, and with which sampling it was made."""
    return Table(list(facts.FACT_COLUMNS), [("sampling", facts.sampling_words(manifest.parameters)), *rows])


def _describe_frames(manifest: Manifest) -> tuple[str, list[Table]]:
    return "", [_facts(manifest, facts.source_rows(FrameSummary.read(manifest.summary)))]


def _describe_features(manifest: Manifest) -> tuple[str, list[Table]]:
    summary = FeatureSummary.read(manifest.summary)
    return "", [
        _facts(manifest, facts.feature_rows(summary)),
        Table(list(facts.SPEED_COLUMNS), facts.speed_rows(summary)),
    ]


def _describe_match(manifest: Manifest) -> tuple[str, list[Table]]:
    summary = MatchSummary.read(manifest.summary)
    return facts.at_a_glance(summary), [
        Table(list(facts.LINE_COLUMNS), summary.lines),
        Table(list(facts.STRETCH_COLUMNS), facts.stretch_rows(summary)),
    ]


def _describe_shots(manifest: Manifest) -> tuple[str, list[Table]]:
    summary = ShotSummary.read(manifest.summary)
    more = (summary.shots or 0) - len(summary.stretches)
    note = f"The first {len(summary.stretches)} of {summary.shots} shots." if more > 0 else ""
    return note, [Table(list(facts.SHOT_COLUMNS), facts.shot_rows(summary))]


_DESCRIBE = {
    "frame_indices": _describe_frames,
    "clip_features": _describe_features,
    "shots": _describe_shots,
    "text_match": _describe_match,
}
"""The line and the tables that tell an asset's stored summary."""


def _section_html(part: Section) -> str:
    blocks = [f"<h2>{html.escape(part.title)}</h2>"]
    if part.note:
        blocks.append(f"<p>{html.escape(part.note)}</p>")
    for picture in part.pictures:
        alt = html.escape(picture.alt)
        image = f'<img src="{picture.data_url}" alt="{alt}">'
        blocks.append(f"<figure>{image}<figcaption>{alt}</figcaption></figure>")
    blocks += [_table_html(table) for table in part.tables]
    return "\n".join(blocks)


def _table_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = ("".join(f"<td>{html.escape(str(value))}</td>" for value in row) for row in table.rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
