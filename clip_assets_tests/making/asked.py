"""The demo's clips with their features at 2 fps, stored as the platform stores them, to be asked; no Dagster."""

from __future__ import annotations

import shutil
from pathlib import Path

from clip_assets.core.digests import digest
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.pictures.kept import KEPT_FRAMES, kept_sheet
from clip_assets.core.pipeline.decoding import PipelineOptions, VideoJob
from clip_assets.core.pipeline.features import Extracted, extract_features
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.store import Store
from clip_assets.core.video import probe
from clip_assets.demo import demo_clips
from clip_assets.models import load_model


def store_demo_clips(folder: Path) -> None:
    """Put the clips into ``folder/videos`` and their results into ``folder/output``."""
    store, videos = Store(folder / "output"), folder / "videos"
    videos.mkdir()
    model = load_model("demo", weights_folder=folder)
    known = {}

    def plan(path: Path):
        video = probe(path)
        known[path.name] = sample(video, Sampling(extraction_fps=2))
        return video, known[path.name]

    paths = [Path(shutil.copy(clip, videos)) for clip in demo_clips()]
    jobs = (VideoJob(path.name, lambda path=path: plan(path)) for path in paths)
    for extracted in extract_features(jobs, [model], PipelineOptions(thumbnails=KEPT_FRAMES)):
        assert isinstance(extracted, Extracted)
        key = extracted.job.key
        sampled = {"source": fingerprint(videos / key), "extraction_fps": 2.0}
        parameters = {**sampled, "model_name": "demo", "weights_sha256": model.weights_sha256}
        store.write("frame_indices", key, known[key], data_version=digest(sampled), parameters=sampled)
        store.write(
            "clip_features",
            key,
            extracted.features,
            data_version=digest(parameters),
            parameters=parameters,
            pictures=[kept_sheet(extracted.thumbnails)],
        )
