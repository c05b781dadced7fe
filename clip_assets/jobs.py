"""Jobs, under names that people search for."""

import dagster as dg

# Dagster ends a run that takes longer, in seconds.
TAGS = {"dagster/max_runtime": str(24 * 60 * 60)}

extract_clip_features = dg.define_asset_job(
    "extract_clip_features",
    selection=["frame_indices", "clip_features", "text_match"],
    description="Everything for a video: frame indices, CLIP features, text matches.",
    tags=TAGS,
)

match_texts = dg.define_asset_job(
    "match_texts",
    selection=["text_match"],
    description="Match other sentences against the stored features; decodes nothing.",
    tags=TAGS,
)

JOBS = [extract_clip_features, match_texts]
