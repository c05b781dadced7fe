"""The source: the videos of the library, which this platform reads and never writes."""

import dagster as dg

from clip_assets.assets.common import GROUP
from clip_assets.partitions import videos_partitions
from clip_assets.resources import VideoLibrary

DESCRIPTION = """A video of the library: a file that people put there. Its data version is a digest of its content.

Register new files with `clip-assets add`."""


@dg.observable_source_asset(
    partitions_def=videos_partitions,
    group_name=GROUP,
    description=DESCRIPTION,
    tags={"dagster/kind/file": "", "modality": "video", "stage": "source"},
)
def video(context: dg.OpExecutionContext, library: VideoLibrary) -> dg.DataVersionsByPartition:
    """Observe the content of each registered video that is there."""
    keys = context.instance.get_dynamic_partitions(str(videos_partitions.name))
    return dg.DataVersionsByPartition({key: library.fingerprint(key) for key in keys if library.path(key).is_file()})
