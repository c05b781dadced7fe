"""A library, and two assets of one's own below it: one for each video, and one of all videos together."""

import dagster as dg
import numpy as np

import clip_assets
from clip_assets.core.records import ClipFeatures
from clip_assets.settings import Settings

means = dg.FilesystemIOManager(base_dir="means")  # the library's own IO manager stores the library's results alone


@dg.asset(partitions_def=dg.DynamicPartitionsDefinition(name="videos"), io_manager_key="means")
def mean_feature(clip_features: ClipFeatures) -> np.ndarray:
    """The mean of a video's features, divided by its norm: float32 (D,)."""
    mean = clip_features.clip.mean(axis=0)
    return mean / np.linalg.norm(mean)


@dg.asset(
    ins={"mean_feature": dg.AssetIn(metadata={"allow_missing_partitions": True})},  # a broken video has none
    io_manager_key="means",
)
def most_similar(context: dg.AssetExecutionContext, mean_feature: dict[str, np.ndarray]) -> dict[str, str]:
    """Of each video the other one whose mean feature is nearest to its own, by cosine."""
    keys = list(mean_feature)
    cosines = np.array([[a @ b for b in mean_feature.values()] for a in mean_feature.values()])
    np.fill_diagonal(cosines, -1)
    nearest = {key: keys[row.argmax()] for key, row in zip(keys, cosines, strict=True)}
    context.add_output_metadata({"most_similar": nearest})
    return nearest


defs = dg.Definitions.merge(
    clip_assets.build_definitions(Settings.from_environment()),
    dg.Definitions(
        assets=[mean_feature, most_similar],
        resources={"means": means},
        executor=dg.in_process_executor,  # Dagster's own takes a process for each step, which loads the model anew
    ),
)
