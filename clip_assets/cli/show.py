"""What is stored of one video, for the terminal and as a page to send to a colleague."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from clip_assets.core.errors import SettingsError
from clip_assets.results.failure import Failure
from clip_assets.results.sections import Section
from clip_assets.results.tables import Table
from clip_assets.settings import LibrarySettings

if TYPE_CHECKING:
    from rich.console import RenderableType


def failures_of(settings: LibrarySettings, key: str) -> Mapping[str, Failure]:
    """By asset why the last run for a partition failed, where an instance can be asked; it takes Dagster seconds."""
    from clip_assets.orchestration.instance import failures, open_instance
    from clip_assets.orchestration.library_names import LibraryNames

    with suppress(SettingsError), open_instance() as instance:
        found = failures(instance, LibraryNames.of(settings))
        return {asset: by_key[key] for asset, by_key in found.items() if key in by_key}
    return {}


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
