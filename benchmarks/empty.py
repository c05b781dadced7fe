"""Assets and checks that do nothing but log what a run of the platform logs: what Dagster itself takes for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from clip_assets.orchestration.dagster_internals import add_partition_metadata, log_evaluations
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.results.assets import PER_VIDEO

UPSTREAM = {"frame_indices": (), "clip_features": ("frame_indices",), "shots": ("clip_features",),
            "text_match": ("clip_features",)}  # fmt: skip

Metadata = Mapping[str, Any]


def run(job: dg.JobDefinition, instance: dg.DagsterInstance, keys: Sequence[str]) -> dg.ExecuteInProcessResult:
    """One run for these partitions, without a word in the terminal."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return job.execute_in_process(instance=instance, run_config=quiet, tags=partition_tags(keys))


def empty_job(one: dg.ExecuteInProcessResult) -> dg.JobDefinition:
    """A job that logs for each of its partitions, which are the videos, the events of a run that had one of them."""
    materialized = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in one.get_asset_materialization_events()
    }
    evaluated = {evaluation.asset_key.to_user_string(): evaluation for evaluation in one.get_asset_check_evaluations()}
    definitions = dg.Definitions(
        [_asset(name) for name in PER_VIDEO],
        asset_checks=[_check(name, evaluated[name]) for name in PER_VIDEO],
        jobs=[dg.define_asset_job("empty", list(PER_VIDEO))],
        resources={"io_manager": _Logging(materialized)},
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("empty")


class _Logging(dg.IOManager):
    """Logs the metadata of each partition, and stores nothing."""

    def __init__(self, metadata: Mapping[str, Metadata]) -> None:
        self._metadata = metadata

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        for key in context.asset_partition_keys:
            add_partition_metadata(context, key, self._metadata[context.asset_key.to_user_string()])

    def load_input(self, context: dg.InputContext) -> None: ...


_PARTITIONS = dg.DynamicPartitionsDefinition(name="videos")


def _asset(name: str) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=UPSTREAM[name], partitions_def=_PARTITIONS)
    def nothing() -> int:
        return 0

    return nothing


def _check(name: str, one: dg.AssetCheckEvaluation) -> dg.AssetChecksDefinition:
    result = dg.AssetCheckResult(passed=one.passed, description=one.description, metadata=one.metadata)

    @dg.asset_check(asset=name, name=one.check_name, partitions_def=_PARTITIONS)
    def nothing(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        keys = context.op_execution_context.partition_keys
        if len(keys) > 1:
            log_evaluations(context, dict.fromkeys(keys, result))
        return result

    return nothing
