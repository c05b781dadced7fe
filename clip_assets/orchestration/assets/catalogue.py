"""What the catalogue of the UI tells about each asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.settings import LibrarySettings


@dataclass(frozen=True)
class ArrayDoc:
    """A stored array, for people.

    Attributes:
        name: The record's field.
        shape: As in ``(T, D)``.
        dtype: As in ``float32``.
        meaning: With its unit.
    """

    name: str
    shape: str
    dtype: str
    meaning: str


NEW_VIDEO = """A new video comes in with `clip-assets add PATH`, with **Add a partition** in the dialog of Materialize
(its path below the library, as in `sports/lifting.mp4`), or with the sensor `video_library`."""
"""How a partition is made, for who is about to launch a run."""


def catalogue_entry(
    asset: str,
    settings: LibrarySettings,
    partitions: dg.PartitionsDefinition[str],
    intro: str,
    arrays: Sequence[ArrayDoc],
) -> dict[str, Any]:
    """The arguments of ``dg.asset`` that say what it is called, where it is stored and what it means.

    Args:
        asset: Its name.
        settings: The library's: its names; where results are stored; the group, the owners and the tags.
        partitions: The videos.
        intro: What it is, and where to read on.
        arrays: What is stored of each video.
    """
    columns = [
        dg.TableColumn(array.name, f"{array.dtype} {array.shape}", description=array.meaning) for array in arrays
    ]
    names = LibraryNames.of(settings)
    location = f"{settings.output}/{asset}"
    return {
        "key": names.key(asset),
        "io_manager_key": names("io_manager"),
        "partitions_def": partitions,
        "group_name": settings.group,
        "owners": settings.owners,
        "tags": settings.tags,
        "description": f"{intro}\n\n{NEW_VIDEO}",
        "metadata": {
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/uri": location,
            "stored_at": f"{location}/<video>/ ({settings.format})",
            "documentation": "README.md, docs/ui.md, docs/architecture.md",
        },
        "backfill_policy": dg.BackfillPolicy.multi_run(settings.videos_per_run),
    }
