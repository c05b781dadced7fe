"""Keeping a living folder and its features in step: new, changed and removed videos; batches that failed."""

import time
from collections.abc import Mapping, Sequence

import dagster as dg

from clip_assets.core.changes import neighbour_batches
from clip_assets.core.errors import LibraryError
from clip_assets.core.library import has_video_extension, list_videos
from clip_assets.core.records import RECORD_TYPES
from clip_assets.failures import failed_videos, is_every_video_s_fault
from clip_assets.instance import registered
from clip_assets.jobs import JOBS, extract_clip_features
from clip_assets.partitions import keys_of_run, partition_tags
from clip_assets.settings import Settings
from clip_assets.watch import Cursor, Look

AGAIN_TAG = "clip_assets/again_after"
"""Of a run that was asked for because another failed: that run's id."""


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Both sensors; they run from the start if the settings say so."""
    status = dg.DefaultSensorStatus.RUNNING if settings.sensor == "on" else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        job=extract_clip_features,
        minimum_interval_seconds=settings.sensor_interval,
        default_status=status,
        description="Keeps partitions and results in step with the folder of videos: computes new and changed ones, "
        "forgets removed ones.",
    )
    def video_library(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            named = {key for key in registered(context.instance) if not has_video_extension(key)}
            listed = list_videos(settings.videos, named)
        except LibraryError as error:
            return dg.SkipReason(f"{error} Nothing is removed.")
        decision = Look(settings, context.instance, listed, time.time()).decide(Cursor.from_json(context.cursor))
        context.log.info(decision.message)
        return decision.to_dagster(context.cursor)

    @dg.run_failure_sensor(
        request_jobs=JOBS,
        minimum_interval_seconds=settings.sensor_interval,
        default_status=status,
        description="Asks again for the videos of a batch that failed: those that failed each on its own, so that it "
        "is red alone and with its reason, and the others, whose results are stored, together.",
    )
    def split_failed_batches(context: dg.RunFailureSensorContext) -> dg.SensorResult | dg.SkipReason | None:
        run, steps = context.dagster_run, context.get_step_failure_events()
        order = registered(context.instance)
        keys = keys_of_run(run.tags, order, {key: position for position, key in enumerate(order)})
        selected = {key.to_user_string() for key in run.asset_selection or ()}
        if not keys or not selected <= set(RECORD_TYPES):
            return None
        if not steps and AGAIN_TAG not in run.tags:  # its process is gone, and no video is known to be at fault
            return dg.SensorResult(run_requests=[_again(run, keys)])
        if len(keys) < 2:
            return None
        if is_every_video_s_fault(steps):
            return dg.SkipReason(f"Run {run.run_id} failed for a reason that every video shares; it isn't split.")
        batches = _split(keys, failed_videos(steps), order, settings.videos_per_run)
        return dg.SensorResult(run_requests=[_again(run, batch) for batch in batches])

    return [video_library, split_failed_batches]


def _split(keys: Sequence[str], failed: Mapping[str, str], order: Sequence[str], size: int) -> list[Sequence[str]]:
    """What to ask for after a batch failed: what failed alone, or everything alone if nobody knows what did."""
    alone = [key for key in keys if key in failed] or keys
    return [*neighbour_batches(set(keys) - set(alone), order, size), *([key] for key in alone)]


def _again(run: dg.DagsterRun, batch: Sequence[str]) -> dg.RunRequest:
    """The failed run's job, assets and config, for some of its videos; once, whatever dies meanwhile."""
    named = {job.name for job in JOBS}
    return dg.RunRequest(
        run_key=f"{run.run_id}:{batch[0]}",
        job_name=run.job_name if run.job_name in named else extract_clip_features.name,
        run_config=run.run_config,
        asset_selection=list(run.asset_selection) if run.asset_selection else None,
        tags={**partition_tags(batch), AGAIN_TAG: run.run_id},
    )
