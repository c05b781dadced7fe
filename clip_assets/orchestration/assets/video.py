"""The source: the videos of the library, which this platform reads and never writes."""

import dagster as dg

from clip_assets.core.errors import ClipAssetsError
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import materialized_version, version_events
from clip_assets.orchestration.resources import video_library_of
from clip_assets.settings import LibrarySettings

DESCRIPTION = """A video of the library: a file that people put there. Its data version is a digest of its content.

Register new files with `clip-assets add`, or let the sensor `video_library` do it."""


def build_video(settings: LibrarySettings, partitions: dg.PartitionsDefinition[str]) -> dg.SourceAsset:
    """The asset; its partitions are the videos, group and tags are the deployment's."""

    names = LibraryNames.of(settings)

    @dg.observable_source_asset(
        key=names.videos,
        required_resource_keys={names("library")},
        partitions_def=partitions,
        group_name=settings.group,
        description=DESCRIPTION,
        tags={"dagster/kind/file": "", **settings.tags},
    )
    def video(context: dg.OpExecutionContext) -> dg.DataVersionsByPartition:
        """Observe the content of the partitions that were asked for, or of all; what can't be read is left out."""
        library = video_library_of(context, names)
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
            observation, materialization = version_events(names.videos, key, fingerprint)
            context.log_event(observation)
            if materialized_version(context.instance, names.videos, key) != fingerprint:
                context.log_event(materialization)
        return dg.DataVersionsByPartition({})  # Dagster would observe them after the materializations

    return video
