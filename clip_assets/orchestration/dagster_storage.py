"""Dagster's private API of an instance's storage: what is written by one transaction, and what is kept beside cursors.

All else that is private is in ``dagster_internals.py`` and ``dagster_launching.py``; the same versions are tested.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import dagster as dg
from dagster._core.events import AssetObservationData, StepMaterializationData
from dagster._serdes import pack_value

if TYPE_CHECKING:
    from dagster._core.storage.event_log import SqlEventLogStorage

K = TypeVar("K", int, str)


def report_together(
    instance: dg.DagsterInstance, events: Sequence[dg.AssetMaterialization | dg.AssetObservation]
) -> None:
    """What the public `report_runless_asset_event` does for each of these events, in order, by one transaction for all.

    That one takes several for each event, and opens a connection for each of them: 100,000 videos take a quarter of an
    hour on PostgreSQL, and hours on SQLite. SQLite's copy of them in the file of a run without a name, which nobody
    reads, isn't made.

    Args:
        instance: Where to.
        events: Of one asset; of each partition at most one of a kind.
    """
    from dagster._core.storage.event_log import SqlEventLogStorage
    from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

    storage = instance.event_log_storage
    if not events:
        return
    if not isinstance(storage, SqlEventLogStorage):
        for event in events:
            instance.report_runless_asset_event(event)
        return
    entries = [_runless(event) for event in events]
    rows = list(_rows(storage, entries))
    table = SqlEventLogStorageTable
    with storage.index_transaction() as index:
        stored = index.execute(
            table.insert().returning(table.c.id, table.c.partition, table.c.dagster_event_type), rows
        )
        of = {(partition, kind): number for number, partition, kind in stored}
        numbers = [of[row["partition"], row["dagster_event_type"]] for row in rows]
        # What is known of the asset is what its last event of each kind says.
        newest = {row["dagster_event_type"]: position for position, row in enumerate(rows)}.values()
        if hasattr(storage, "_store_asset_event_tags"):
            storage._store_asset_event_tags(index, entries, numbers)
            for position in newest:
                storage._store_asset_event(index, entries[position], numbers[position])
            return
    storage.store_asset_event_tags(entries, numbers)  # early 1.13 takes a transaction of its own for these
    for position in newest:
        storage.store_asset_event(entries[position], numbers[position])


def _rows(storage: SqlEventLogStorage, entries: Sequence[dg.EventLogEntry]) -> Iterator[dict[str, Any]]:
    """What the storage makes of each of these entries. Around an event all is the same, and packed once for a kind."""
    like: dict[str, tuple[dict[str, Any], Any]] = {}
    for entry in entries:
        told = entry.get_dagster_event()
        if told.event_type_value not in like:
            like[told.event_type_value] = storage._event_to_row(entry), pack_value(entry)
        row, packed = like[told.event_type_value]
        around = packed["dagster_event"]["event_specific_data"]
        data = told.event_specific_data
        if isinstance(data, StepMaterializationData):
            around["materialization"] = pack_value(data.materialization)
        elif isinstance(data, AssetObservationData):
            around["asset_observation"] = pack_value(data.asset_observation)
        packed["timestamp"] = entry.timestamp
        yield {
            **row,
            "event": json.dumps(packed),
            "timestamp": storage._event_insert_timestamp(entry),
            "partition": told.partition,
        }


def _runless(event: dg.AssetMaterialization | dg.AssetObservation) -> dg.EventLogEntry:
    data: StepMaterializationData | AssetObservationData
    if isinstance(event, dg.AssetMaterialization):
        kind, data = dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(event)
    else:
        kind, data = dg.DagsterEventType.ASSET_OBSERVATION, AssetObservationData(event)
    told = dg.DagsterEvent(event_type_value=kind.value, job_name="", event_specific_data=data)
    return dg.EventLogEntry(
        error_info=None,
        level="INFO",
        user_message="",
        run_id="",
        timestamp=time.time(),
        job_name="",
        dagster_event=told,
    )


class InstancePages(Generic[K]):
    """Texts by number or name where the instance keeps its daemon's cursors, which every host of the instance reaches.

    Publicly an instance keeps nothing that isn't an event, a run or a partition.

    Args:
        instance: Where to.
        name: What tells these texts from all others.
    """

    def __init__(self, instance: dg.DagsterInstance, name: str) -> None:
        self._storage = instance.daemon_cursor_storage
        self._name = name

    def read(self, pages: Iterable[K]) -> dict[K, str]:
        """The texts of these pages that there are."""
        keys = {self._key(page): page for page in pages}
        return {keys[key]: text for key, text in self._storage.get_cursor_values(set(keys)).items()}

    def write(self, page: K, text: str) -> None:
        """Put a text in place of the one of that page."""
        self._storage.set_cursor_values({self._key(page): text})  # one: SQLite's takes no new ones beside old ones

    def remove(self, page: K) -> None:
        """Delete a text, where the storage can: Dagster never does."""
        from dagster._core.storage.runs import SqlRunStorage
        from dagster._core.storage.runs.schema import KeyValueStoreTable

        if isinstance(self._storage, SqlRunStorage):
            with self._storage.connect() as connection:
                table = KeyValueStoreTable
                connection.execute(table.delete().where(table.c.key == self._key(page)))

    def _key(self, page: K) -> str:
        return f"clip_assets/{self._name}/{page}"
