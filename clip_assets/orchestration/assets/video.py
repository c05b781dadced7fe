"""The source: the videos of the library, which this platform reads and never writes."""

import dagster as dg

from clip_assets.core.errors import ClipAssetsError
from clip_assets.orchestration.partitions import materialized_version, version_events
from clip_assets.orchestration.resources import VideoLibrary
from clip_assets.settings import Settings

DESCRIPTION = """A video of the library: a file that people put there. Its data version is a digest of its content.

Register new files with `clip-assets add`, or let the sensor `video_library` do it."""


def build_video(settings: Settings, partitions: dg.PartitionsDefinition[str]) -> dg.SourceAsset:
    """The asset; its partitions are the videos, group and tags are the deployment's."""

    @dg.observable_source_asset(
        partitions_def=partitions,
        group_name=settings.group,
        description=DESCRIPTION,
        tags={"dagster/kind/file": "", **settings.tags},
    )
    def video(context: dg.OpExecutionContext, library: VideoLibrary) -> dg.DataVersionsByPartition:
        """Observe the content of the partitions that were asked for, or of all; what can't be read is left out."""
        asked = context.has_partition_key or context.has_partition_key_range
        keys = (
            context.partition_keys
            if asked
            else partitions.get_partition_keys(dynamic_partitions_store=context.instance)
        )
        for key in keys:
            try:
                fingerprint = library.fingerprint(key)
            except ClipAssetsError as error:
                context.log.warning(f"{key} is not observed: {error}")
                continue
            observation, materialization = version_events(key, fingerprint)
            context.log_event(observation)
            if materialized_version(context.instance, key) != fingerprint:
                context.log_event(materialization)
        return dg.DataVersionsByPartition({})  # Dagster would observe them after the materializations

    return video
