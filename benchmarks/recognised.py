"""A batch whose results are all stored: what recognising them costs beside assets that do nothing.

    python benchmarks/recognised.py [--count 20] [--rounds 5] [--json]

CPU time of a run, in turns with one of empty assets and checks that log the very same events: each partition's
materializations with their metadata, and each check's evaluations. A SQLite instance, the demo model, no pictures.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from clip_assets.orchestration.dagster_internals import add_partition_metadata, log_evaluations
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import register
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.results.assets import PER_VIDEO
from clip_assets.settings import Settings
from videos import write

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
UPSTREAM = {"frame_indices": (), "clip_features": ("frame_indices",), "shots": ("clip_features",),
            "text_match": ("clip_features",)}  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), arguments.count, arguments.rounds)
    if arguments.json:
        print(json.dumps(row, indent=1))
        return
    print("| videos | stored, CPU s | empty with the same events, CPU s | ratio |\n|---|---|---|---|")
    print(f"| {row['videos']} | {row['stored']:.2f} | {row['empty']:.2f} | {row['ratio']:.2f} |")


def measure(folder: Path, count: int, rounds: int) -> dict[str, float]:
    """Medians of CPU seconds, and of the ratio in each round."""
    settings = Settings(
        videos=folder / "videos", output=str(folder / "output"), model_name="demo", device_ids="cpu", pictures="off",
        pred_texts=["a red circle", "a blue square"],
    )  # fmt: skip
    settings.videos.mkdir()
    write(settings.videos / "00000.mp4", (320, 240), 1, frames=10)
    for number in range(1, count):
        (settings.videos / f"{number:05}.mp4").hardlink_to(settings.videos / "00000.mp4")
    job = build_definitions(settings).resolve_job_def("extract_clip_features")
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        keys = register(instance, settings.videos, [settings.videos])
        run(job, instance, keys)
        result, _ = run(job, instance, keys)
    nothing = empty(result)
    stored, same = [], []
    for number in range(rounds):  # in instances of their own, so that neither reads the other's history
        for spent, work, name in ((stored, job, "stored"), (same, nothing, "empty")):
            home = folder / f"{name}{number}"
            home.mkdir()
            with dg.DagsterInstance.local_temp(str(home)) as instance:
                instance.add_dynamic_partitions("videos", keys)
                run(work, instance, keys[:1])
                spent.append(run(work, instance, keys)[1])
    ratios = [one / other for one, other in zip(stored, same, strict=True)]
    medians = {"stored": stored, "empty": same, "ratio": ratios}
    return {"videos": count, **{name: statistics.median(values) for name, values in medians.items()}}


def run(
    job: dg.JobDefinition, instance: dg.DagsterInstance, keys: Sequence[str]
) -> tuple[dg.ExecuteInProcessResult, float]:
    """One run for all keys, and its CPU seconds."""
    began = time.process_time()
    result = job.execute_in_process(instance=instance, run_config=QUIET, tags=partition_tags(keys))
    return result, time.process_time() - began


def empty(result: dg.ExecuteInProcessResult) -> dg.JobDefinition:
    """Assets and checks that only log what a run has logged."""
    materialized = {
        (event.asset_key.to_user_string(), event.partition): event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    evaluated = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    logged = [event.event_specific_data for event in result.all_events if event.event_type == evaluated]
    partitions = dg.DynamicPartitionsDefinition(name="videos")

    class Replay(dg.IOManager):
        def handle_output(self, context: dg.OutputContext, obj: object) -> None:
            name = context.asset_key.to_user_string()
            for key in context.asset_partition_keys:
                add_partition_metadata(context, key, materialized[name, key])

        def load_input(self, context: dg.InputContext) -> None: ...

    def asset(name: str) -> dg.AssetsDefinition:
        @dg.asset(name=name, deps=UPSTREAM[name], partitions_def=partitions)
        def nothing() -> int:
            return 0

        return nothing

    def check(name: str) -> dg.AssetChecksDefinition:
        of_this = [evaluation for evaluation in logged if evaluation.asset_key.to_user_string() == name]
        results = {evaluation.partition: _result(evaluation) for evaluation in of_this}

        @dg.asset_check(asset=name, name=of_this[0].check_name, partitions_def=partitions)
        def nothing(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
            keys = context.op_execution_context.partition_keys
            if len(keys) > 1:
                log_evaluations(context, {key: results[key] for key in keys})
            return results[None]

        return nothing

    definitions = dg.Definitions(
        [asset(name) for name in PER_VIDEO],
        asset_checks=[check(name) for name in PER_VIDEO],
        jobs=[dg.define_asset_job("empty", list(PER_VIDEO))],
        resources={"io_manager": Replay()},
        executor=dg.in_process_executor,
    )
    return definitions.resolve_job_def("empty")


def _result(evaluation: Any) -> dg.AssetCheckResult:
    metadata: Mapping[str, Any] = evaluation.metadata
    return dg.AssetCheckResult(passed=evaluation.passed, description=evaluation.description, metadata=metadata)


if __name__ == "__main__":
    main()
