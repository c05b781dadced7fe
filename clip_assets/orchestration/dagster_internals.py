"""Every use of Dagster's private API: what it gives that the public one doesn't, and what becomes of us without it.

The lowest and the highest version that setup.cfg allows are both tested (``dagster_bounds`` in .ci/run).
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as _Checked,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
from dagster._core.events import AssetObservationData, StepMaterializationData
from dagster._core.instance.ref import InstanceRef
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

__all__ = [
    "AssetJob",
    "CheckRunHealthResult",
    "InstancePages",
    "WorkerStatus",
    "add_partition_metadata",
    "free_pools",
    "limit_pool",
    "log_evaluations",
    "provenance_tags",
    "quiet_instance",
    "report_together",
]

# Dagster's names of the tags that say what a materialization was made from.
_DATA_VERSION = "dagster/data_version"
_IS_OURS = "dagster/data_version_is_user_provided"
_CODE_VERSION = "dagster/code_version"
_INPUT_VERSION = "dagster/input_data_version/"
_INPUT_EVENT = "dagster/input_event_pointer/"
_NO_EVENT = "NULL"
_NO_VERSION = "INITIAL"

_ASKED_TOGETHER = 100
"""Materializations that a query reads: each comes with its pictures, and Dagster gives at most 1,000."""


def add_partition_metadata(context: dg.OutputContext, partition_key: str, metadata: Mapping[str, Any]) -> None:
    """What the public `AssetExecutionContext.add_asset_metadata` does, and what is called where this can't be done.

    That one checks that the partition is one of the run's, for which it reads all partition keys from the database:
    30 ms of CPU for each video where there are 10,000.
    """
    step = context.step_context
    try:
        step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(
            asset_key=context.asset_key, partition_key=partition_key, metadata=metadata
        )
    except AttributeError:
        dg.AssetExecutionContext.get().add_asset_metadata(metadata, context.asset_key, partition_key)


def provenance_tags(context: dg.OutputContext, data_version: str) -> dict[str, str]:
    """The tags by which Dagster tells what is stale, as it gives them to the materializations of an output itself.

    Publicly only the data version is known. With it alone Dagster goes by the times of materializations.

    Args:
        context: The output's.
        data_version: Of what was materialized.
    """
    tags = {_DATA_VERSION: data_version, _IS_OURS: "true"}
    step = context.step_context
    try:
        node = step.job_def.asset_layer.get(context.asset_key)
        inputs = {key: step.maybe_fetch_and_get_input_asset_version_info(key) for key in node.parent_keys}
    except AttributeError:
        return tags
    tags[_CODE_VERSION] = node.code_version or context.run_id
    for key, made_from in inputs.items():
        name, version = key.to_user_string(), made_from and made_from.data_version
        tags[_INPUT_VERSION + name] = version.value if version else _NO_VERSION
        tags[_INPUT_EVENT + name] = str(made_from.storage_id) if made_from else _NO_EVENT
    return tags


def log_evaluations(context: dg.AssetCheckExecutionContext, results: Mapping[str, dg.AssetCheckResult]) -> None:
    """Record what a check came to for each partition of a run that has several: it can return but one result.

    The signature of `log_event` doesn't say that it takes evaluations. Dagster counts one only if it names the
    materialization that was checked.

    Args:
        context: The check's.
        results: By partition key.
    """
    (check,) = context.op_execution_context.selected_asset_check_keys
    checked = _last_materializations(context.instance, check.asset_key, list(results))
    for key, result in results.items():
        evaluation = dg.AssetCheckEvaluation(
            check.asset_key,
            check.name,
            result.passed,
            result.metadata,
            target_materialization_data=checked.get(key),
            description=result.description,
            partition=key,
        )
        context.op_execution_context.log_event(evaluation)  # type: ignore[arg-type]


def _last_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]
) -> dict[str, _Checked]:
    """By partition key which materialization is the last one; none for a partition that has none.

    The newest events of some partitions are mostly one of each, so a query finds them together. Whatever it leaves out,
    since others were materialized more than once since, is asked for by itself.
    """
    found: dict[str, _Checked] = {}
    for start in range(0, len(keys), _ASKED_TOGETHER):
        found |= _newest(instance, asset, keys[start : start + _ASKED_TOGETHER])
    for key in keys:
        if key not in found:
            found |= _newest(instance, asset, [key])
    return found


def _newest(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]) -> dict[str, _Checked]:
    """The last materialization of each of these partitions that is among their newest events, one for each of them."""
    asked = dg.AssetRecordsFilter(asset, asset_partitions=keys)
    records = instance.fetch_materializations(asked, limit=len(keys)).records
    return {
        str(record.partition_key): _Checked(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in reversed(records)  # newest first, and the newest of each partition counts
    }


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
    storage = instance.event_log_storage
    if not events:
        return
    if not isinstance(storage, SqlEventLogStorage):
        for event in events:
            instance.report_runless_asset_event(event)
        return
    entries = [_runless(event) for event in events]
    rows = [storage._event_to_row(entry) for entry in entries]
    table = SqlEventLogStorageTable
    with storage.index_transaction() as index:
        stored = index.execute(
            table.insert().returning(table.c.id, table.c.partition, table.c.dagster_event_type), rows
        )
        of = {(partition, kind): number for number, partition, kind in stored}
        numbers = [of[row["partition"], row["dagster_event_type"]] for row in rows]
        storage._store_asset_event_tags(index, entries, numbers)
        newest = {row["dagster_event_type"]: position for position, row in enumerate(rows)}
        for position in newest.values():  # what is known of the asset is what its last event of each kind says
            storage._store_asset_event(index, entries[position], numbers[position])


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


def quiet_instance() -> dg.DagsterInstance:
    """The instance that ``DAGSTER_HOME`` names, where it doesn't capture what this process writes to its terminal.

    Publicly that is the instance's setting alone. The capture starts four processes for each step, and takes the
    terminal from whoever executes runs in it.
    """
    quiet = {"compute_logs": {"module": NoOpComputeLogManager.__module__, "class": NoOpComputeLogManager.__name__}}
    try:
        return dg.DagsterInstance.from_ref(InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=quiet))
    except AttributeError:
        return dg.DagsterInstance.get()


class InstancePages:
    """Texts by number where the instance keeps the cursors of its daemon, which every host of the instance reaches.

    Publicly an instance keeps nothing that isn't an event, a run or a partition. Nothing is ever deleted there, so
    numbers are used again.

    Args:
        instance: Where to.
        name: What tells these texts from all others.
    """

    def __init__(self, instance: dg.DagsterInstance, name: str) -> None:
        self._storage = instance.daemon_cursor_storage
        self._name = name

    def read(self, numbers: Iterable[int]) -> dict[int, str]:
        """The texts of these numbers that there are."""
        keys = {self._key(number): number for number in numbers}
        return {keys[key]: text for key, text in self._storage.get_cursor_values(set(keys)).items()}

    def write(self, number: int, text: str) -> None:
        """Put a text in place of the one of that number."""
        self._storage.set_cursor_values({self._key(number): text})  # one: SQLite's takes no new ones beside old ones

    def _key(self, number: int) -> str:
        return f"clip_assets/{self._name}/{number}"


def limit_pool(instance: dg.DagsterInstance, pool: str) -> None:
    """Let one step at a time into a pool, unless it has a limit; publicly that is a command, and a page of the UI."""
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits and pool not in storage.get_concurrency_keys():
        storage.set_concurrency_slots(pool, 1)


def free_pools(instance: dg.DagsterInstance, run_id: str) -> None:
    """Give back what a run that has ended holds of any pool, as Dagster's daemon does where one is at work."""
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
