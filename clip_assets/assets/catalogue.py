"""What the catalogue of the UI tells about each asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from clip_assets.assets.common import GROUP, OWNERS
from clip_assets.settings import Settings


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


def catalogue_entry(
    asset: str,
    settings: Settings,
    partitions: dg.PartitionsDefinition[str],
    intro: str,
    arrays: Sequence[ArrayDoc],
    stage: str,
) -> dict[str, Any]:
    """The arguments of ``dg.asset`` that only describe it, and its partitions.

    Args:
        asset: Its name.
        settings: The deployment's, for the place where results are stored.
        partitions: The videos.
        intro: What it is, and where to read on.
        arrays: What is stored of each video.
        stage: A word to find it by.
    """
    rows = [f"| `{array.name}` | {array.shape} | {array.dtype} | {array.meaning} |" for array in arrays]
    columns = [
        dg.TableColumn(array.name, f"{array.dtype} {array.shape}", description=array.meaning) for array in arrays
    ]
    location = f"{settings.output}/{asset}"
    return {
        "partitions_def": partitions,
        "group_name": GROUP,
        "owners": OWNERS,
        "description": "\n".join([intro, "", "| array | shape | dtype | unit, meaning |", "|---|---|---|---|", *rows]),
        "metadata": {
            "dagster/column_schema": dg.TableSchema(columns),
            "dagster/uri": location,
            "stored_at": f"{location}/<video>/ ({settings.format})",
            "documentation": "README.md, docs/ui.md, docs/architecture.md",
        },
        "tags": {"modality": "video", "stage": stage},
        "backfill_policy": dg.BackfillPolicy.multi_run(settings.videos_per_run),
    }
