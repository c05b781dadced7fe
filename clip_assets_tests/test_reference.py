"""Agreement with the published results of video_features on a real video, where these are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from clip_assets.core.pipeline.decoding import PipelineOptions, VideoJob
from clip_assets.core.pipeline.features import Extracted, extract_features
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe
from clip_assets.models import load_model


def published(reference_folder: Path, run: str, name: str) -> np.ndarray:
    return np.load(reference_folder / run / f"{name}.npy")


def test_every_frame_has_the_published_times_and_fps(reference_folder: Path, reference_video: Path) -> None:
    frames = sample(probe(reference_video), Sampling())
    assert len(frames.indices) == 355
    assert frames.fps == published(reference_folder, "fps=native_batch=1", "fps")
    np.testing.assert_allclose(
        frames.timestamps_ms, published(reference_folder, "fps=native_batch=1", "timestamps_ms"), atol=1e-6
    )


def test_ffmpeg_s_selection_has_the_published_times(reference_folder: Path, reference_video: Path) -> None:
    frames = sample(probe(reference_video), Sampling(extraction_fps=5.0, frame_selection="ffmpeg"))
    times = published(reference_folder, "fps=5_batch=1", "timestamps_ms")
    assert len(frames.indices) == len(times) == 90
    np.testing.assert_allclose(frames.timestamps_ms, times, atol=1e-6)


def test_on_screen_selection_reaches_the_end_of_the_video(reference_video: Path) -> None:
    frames = sample(probe(reference_video), Sampling(extraction_fps=5.0))
    assert len(frames.indices) == 91
    assert frames.timestamps_ms[-1] == 18000.0


@pytest.mark.weights
def test_vit_b_32_gives_the_published_features(reference_folder: Path, reference_video: Path) -> None:
    weights = Path(os.environ.get("CLIP_ASSETS_WEIGHTS", Path.home() / ".cache" / "clip"))
    if not (weights / "ViT-B-32.pt").is_file():
        pytest.skip(f"OpenAI's ViT-B/32 weights are not in {weights}")
    model = load_model("ViT-B/32", weights_folder=weights)
    video = probe(reference_video)
    job = VideoJob("sample", lambda: (video, sample(video, Sampling())))
    (result,) = extract_features([job], [model], PipelineOptions())
    assert isinstance(result, Extracted)
    ours = result.features.clip.astype(np.float64)
    theirs = published(reference_folder, "fps=native_batch=1", "clip").astype(np.float64)
    cosines = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() >= 0.999
