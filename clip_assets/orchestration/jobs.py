"""Jobs, under names that people search for."""

import dagster as dg

from clip_assets.results.assets import PER_VIDEO

# Dagster ends a run that takes longer, in seconds.
TAGS = {"dagster/max_runtime": str(24 * 60 * 60)}

JOB_ASSETS = {
    "extract_clip_features": tuple(PER_VIDEO),
    "match_texts": ("text_match",),
}
"""The assets of each job, by its name."""

extract_clip_features = dg.define_asset_job(
    "extract_clip_features",
    selection=list(JOB_ASSETS["extract_clip_features"]),
    description="Everything for a video: frame indices, CLIP features, shots, text matches.",
    tags=TAGS,
)

match_texts = dg.define_asset_job(
    "match_texts",
    selection=list(JOB_ASSETS["match_texts"]),
    description="Match other sentences against the stored features; decodes nothing.",
    tags=TAGS,
)

JOBS = [extract_clip_features, match_texts]
