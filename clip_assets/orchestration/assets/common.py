"""What the assets share: how they say what is wanted, make pictures, and show a summary."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.picture import Picture
from clip_assets.core.pictures.kept import SHEET_NAME, kept_frames
from clip_assets.orchestration.io_managers import StoredResults

if TYPE_CHECKING:
    from PIL.Image import Image


class ForceConfig(dg.Config):
    """Run config of every asset."""

    force: bool = Field(default=False, description="Compute even what is stored already.")


def want_each(
    keys: Iterable[str], parameters: Callable[[str], Mapping[str, Any]]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Exception]]:
    """The parameters wanted of each partition, and the partitions for which there are none, with the reason."""
    wanted: dict[str, Mapping[str, Any]] = {}
    failed: dict[str, Exception] = {}
    for key in keys:
        try:
            wanted[key] = parameters(key)
        except ClipAssetsError as error:
            failed[key] = error
    return wanted, failed


def draw(log: logging.Logger, key: str, *pictures: Callable[[], Picture | None]) -> list[Picture]:
    """The pictures of a partition, where there is one; one that can't be made is a warning, for the result counts."""
    made = []
    for picture in pictures:
        try:
            made.append(picture())
        except Exception as error:  # noqa: BLE001 - whatever breaks a picture (a font, a codec, odd numbers) is no failure
            log.warning(f"{key}: a picture is missing: {type(error).__name__}: {error}")
    return [picture for picture in made if picture]


def kept_pictures(clip_features: StoredResults, key: str) -> dict[int, Image]:
    """Small pictures of a video's encoded frames by frame index; empty where none were kept."""
    sheet = clip_features.picture(key, SHEET_NAME)
    return kept_frames(sheet) if sheet else {}


def table(columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> dg.TableMetadataValue:
    """A table of the UI.

    Args:
        columns: For each column its type and, after a comma, its meaning.
        rows: A value of plain Python for each column.
    """
    split = {name: words.partition(", ") for name, words in columns.items()}
    schema = [dg.TableColumn(name, kind, description=meaning or None) for name, (kind, _, meaning) in split.items()]
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(schema))
