"""Jobs, under names that people search for."""

import dagster as dg

from clip_assets.orchestration.dagster_internals import AssetJob
from clip_assets.orchestration.library_names import JOB_ASSETS, LibraryNames

# Dagster ends a run that takes longer, in seconds.
TAGS = {"dagster/max_runtime": str(24 * 60 * 60)}

_DESCRIPTIONS = {
    "extract_clip_features": "Everything for a video: frame indices, CLIP features, shots, text matches.",
    "match_texts": "Match other sentences against the stored features; decodes nothing.",
}


def build_jobs(names: LibraryNames) -> list[AssetJob]:
    """The jobs of a library; each runs in one process, so that the model is loaded once."""
    return [
        dg.define_asset_job(
            names(job),
            selection=dg.AssetSelection.assets(*names.keys(assets)),
            description=_DESCRIPTIONS[job],
            tags=TAGS,
            executor_def=dg.in_process_executor,
        )
        for job, assets in JOB_ASSETS.items()
    ]
