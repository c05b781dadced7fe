"""The sensors, by which a living folder and its features stay in step: new, changed and removed videos; failed batches.

What each decides is in a file of its own: `library_tick.py`, `failed_batches.py`.
"""

import time
from collections.abc import Sequence

import dagster as dg

from clip_assets.advice import PLATFORM, explain
from clip_assets.core.errors import LibraryError
from clip_assets.core.garbage import uncollected
from clip_assets.core.library.listing import has_video_extension
from clip_assets.orchestration.dagster_internals import AssetJob
from clip_assets.orchestration.failed_batches import FailuresCursor, FailuresLook
from clip_assets.orchestration.instance import registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.library_tick import Cursor, Look
from clip_assets.settings import LibrarySettings


def build_sensors(settings: LibrarySettings, jobs: Sequence[AssetJob]) -> list[dg.SensorDefinition]:
    """`video_library`, which runs if the settings say so, and `split_failed_batches`, which runs.

    Whichever was started or stopped in the UI stays as it is there.

    Args:
        settings: The library's.
        jobs: Its jobs.
    """
    names = LibraryNames.of(settings)
    status = dg.DefaultSensorStatus.RUNNING if settings.sensor == "on" else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=names("video_library"),
        job_name=names("extract_clip_features"),
        minimum_interval_seconds=settings.sensor_interval,
        default_status=status,
        description="Keeps partitions and results in step with the folder of videos: computes new and changed ones, "
        "forgets removed ones.",
    )
    @uncollected()
    def video_library(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            order = registered(context.instance, names)
            listed = settings.source.listing({key for key in order if not has_video_extension(key)})
        except LibraryError as error:
            return dg.SkipReason(f"{explain(error, PLATFORM)} Nothing is removed.")
        look = Look(settings, context.instance, order, listed, time.time())
        decision = look.decide(Cursor.from_json(context.cursor))
        context.log.info(decision.message)
        decision.report(context.instance)
        return decision.to_dagster(context.cursor)

    @dg.sensor(
        name=names("split_failed_batches"),
        jobs=jobs,
        minimum_interval_seconds=settings.sensor_interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes up what a failed batch left: the videos that failed each on its own, so that it is red "
        "alone and with its reason, and the others together, from the step on that the failure kept from running.",
    )
    def split_failed_batches(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        look = FailuresLook(context.instance, names, settings.videos_per_run, time.time())
        return look.decide(FailuresCursor.from_json(context.cursor))

    return [video_library, split_failed_batches]
