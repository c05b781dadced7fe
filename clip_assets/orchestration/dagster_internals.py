"""Every use of Dagster's private API: what it gives that the public one doesn't, and what becomes of us without it.

The lowest and the highest version that setup.cfg allows are both tested (``dagster_bounds`` in .ci/run).
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as _Checked,
)
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

__all__ = [
    "CheckRunHealthResult",
    "WorkerStatus",
    "add_partition_metadata",
    "log_evaluation",
    "provenance_tags",
]

# Dagster's names of the tags that say what a materialization was made from.
_DATA_VERSION = "dagster/data_version"
_IS_OURS = "dagster/data_version_is_user_provided"
_CODE_VERSION = "dagster/code_version"
_INPUT_VERSION = "dagster/input_data_version/"
_INPUT_EVENT = "dagster/input_event_pointer/"
_NO_EVENT = "NULL"
_NO_VERSION = "INITIAL"


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


def log_evaluation(context: dg.AssetCheckExecutionContext, partition_key: str, result: dg.AssetCheckResult) -> None:
    """Record what a check came to for one partition of a run that has several, for which it can return but one result.

    The signature of `log_event` doesn't say that it takes evaluations. Dagster counts one only if it names the
    materialization that was checked.
    """
    (check,) = context.op_execution_context.selected_asset_check_keys
    asked = dg.AssetRecordsFilter(check.asset_key, asset_partitions=[partition_key])
    found = context.instance.fetch_materializations(asked, limit=1).records
    checked = [_Checked(storage_id=r.storage_id, run_id=r.run_id, timestamp=r.timestamp) for r in found]
    evaluation = dg.AssetCheckEvaluation(
        check.asset_key,
        check.name,
        result.passed,
        result.metadata,
        target_materialization_data=checked[0] if checked else None,
        description=result.description,
        partition=partition_key,
    )
    context.op_execution_context.log_event(evaluation)  # type: ignore[arg-type]
