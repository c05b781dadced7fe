"""One partition per video: its key is the path below the library's root (see `core.library` for the rules)."""

import json
from collections.abc import Mapping, Sequence

import dagster as dg

KEYS_TAG = "clip_assets/videos"
"""Of a run that `clip-assets run` executes: its partition keys, a JSON list."""

_PARTITION = "dagster/partition"
_RANGE_START = "dagster/asset_partition_range_start"
_RANGE_END = "dagster/asset_partition_range_end"


_VERSION = "dagster/data_version"


def version_events(
    videos: dg.AssetKey, key: str, fingerprint: str
) -> list[dg.AssetObservation | dg.AssetMaterialization]:
    """The events that tell Dagster the data version of a video, in the order in which it must hear of them.

    By observations it tells what is stale: observed before the first run, a later change is told from the content that
    the results were made from. By materializations it tells which partitions are filled; a run takes the last one for
    what it was made from, and so knows all that was observed before.

    Args:
        videos: The asset key of the source.
        key: The video's partition key.
        fingerprint: Its data version.
    """
    tags = {_VERSION: fingerprint}
    return [
        dg.AssetObservation(videos, partition=key, tags=tags),
        dg.AssetMaterialization(videos, partition=key, tags=tags),
    ]


def materialized_version(instance: dg.DagsterInstance, videos: dg.AssetKey, key: str) -> str | None:
    """The data version that a video was last materialized with; None where it never was."""
    records = instance.fetch_materializations(dg.AssetRecordsFilter(videos, asset_partitions=[key]), 1)
    materialization = records.records[0].asset_materialization if records.records else None
    return (materialization.tags or {}).get(_VERSION) if materialization else None


def partition_tags(batch: Sequence[str]) -> dict[str, str]:
    """Tags of a run for one partition, or for several that are neighbours in order of registration."""
    return {_PARTITION: batch[0]} if len(batch) == 1 else {_RANGE_START: batch[0], _RANGE_END: batch[-1]}


def scattered_tags(batch: Sequence[str]) -> dict[str, str]:
    """Tags of a run in a terminal's process, whose definitions have these partitions alone, neighbours or not."""
    return {**partition_tags(batch), KEYS_TAG: json.dumps(batch, ensure_ascii=False)}


class KeysOfRuns:
    """Tells which partitions runs are for.

    Args:
        order: All partition keys, in order of registration.
    """

    def __init__(self, order: Sequence[str]) -> None:
        self._order = order
        self._positions = {key: position for position, key in enumerate(order)}

    def __call__(self, tags: Mapping[str, str]) -> Sequence[str]:
        """The partition keys that a run with these tags is for; none where they aren't registered any more."""
        if KEYS_TAG in tags:  # the range that such a run has too is one of its own few partitions
            return [key for key in json.loads(tags[KEYS_TAG]) if key in self._positions]
        start = self._positions.get(tags.get(_RANGE_START, tags.get(_PARTITION, "")))
        end = self._positions.get(tags.get(_RANGE_END, tags.get(_PARTITION, "")))
        return () if start is None or end is None else self._order[start : end + 1]
