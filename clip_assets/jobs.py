"""Jobs, under names that people search for."""

import dagster as dg

from clip_assets.partitions import videos_partitions
from clip_assets.settings import Settings

MAX_RUNTIME_TAG = "dagster/max_runtime"


def build_jobs(settings: Settings) -> list[dg.UnresolvedAssetJobDefinition]:
    """The platform's jobs; Dagster ends a run that takes longer than the deployment allows."""
    tags = {MAX_RUNTIME_TAG: str(settings.run_timeout)}
    return [
        dg.define_asset_job(
            "extract_clip_features",
            selection=["frame_indices", "clip_features", "text_match"],
            partitions_def=videos_partitions,
            description="Everything for a video: frame indices, CLIP features, text matches.",
            tags=tags,
        ),
        dg.define_asset_job(
            "match_texts",
            selection=["text_match"],
            partitions_def=videos_partitions,
            description="Match other sentences against the stored features; decodes nothing.",
            tags=tags,
        ),
    ]
