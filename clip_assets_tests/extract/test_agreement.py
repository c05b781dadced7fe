"""The saved numbers against OpenAI's own code and the original scripts' arithmetic, at the published sizes."""

from __future__ import annotations

import json
from pathlib import Path

import av
import clip
import numpy as np
import pytest
import torch
from PIL import Image

from clip_assets_tests.extract.conftest import Extract
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_network

VIT_B_32 = {"image_resolution": 224, "vision_layers": 12, "vision_width": 768, "vision_patch_size": 32}
RN50 = {"image_resolution": 224, "vision_layers": (3, 4, 6, 3), "vision_width": 64, "vision_patch_size": None}
TEXTS = ["a dog smiles", "a man is lifting", "a red circle"]


def frames_of(path: Path) -> list[Image.Image]:
    """All frames, read without any code of ours."""
    with av.open(str(path)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


@pytest.mark.parametrize("vision", [VIT_B_32, RN50], ids=["ViT-B/32", "RN50"])
def test_features_and_probabilities_are_those_of_clips_own_code(workdir: Path, extract: Extract, vision: dict) -> None:
    corpus.write(workdir / "c.mp4", corpus.Recipe(options=corpus.X264, size=(320, 240), frames=6))
    network = random_network(0, **vision)
    torch.save(network.state_dict(), "random.pth")
    texts = ("show_pred=true", "pred_format=json", f"pred_texts={json.dumps(TEXTS)}")
    outcome = extract("checkpoint=random.pth", "on_extraction=save_numpy", "c.mp4", *texts)
    assert outcome.code == 0, outcome.err

    transform = clip.clip._transform(224)
    with torch.no_grad():
        expected = network.encode_image(torch.stack([transform(image) for image in frames_of(workdir / "c.mp4")]))
        text_features = network.encode_text(clip.tokenize(TEXTS)).double()
    features = torch.from_numpy(np.load("output/c_clip.npy"))
    assert torch.cosine_similarity(features, expected).min() >= 0.99999
    assert torch.pdist(expected).min() > 0.01, "frames that look alike to the network prove nothing"

    image_features = features.double() / features.double().norm(dim=1, keepdim=True)
    text_features /= text_features.norm(dim=1, keepdim=True)
    probabilities = (network.logit_scale.exp().double() * image_features @ text_features.T).softmax(dim=1)
    (video,) = json.loads(outcome.out)
    ours = [[match["probability"] for match in frame["matches"]] for frame in video["frames"]]
    np.testing.assert_allclose(ours, probabilities.detach().numpy(), rtol=0, atol=1e-6)


def test_times_and_rate_at_a_constant_rate_are_the_original_scripts(workdir: Path, extract: Extract) -> None:
    corpus.ntsc_rate(workdir / "c.mp4")
    assert extract("on_extraction=save_numpy", "c.mp4").code == 0
    fps = np.load("output/c_fps.npy")
    assert fps == pytest.approx(30000 / 1001, rel=1e-9)
    np.testing.assert_allclose(np.load("output/c_timestamps_ms.npy"), np.arange(corpus.FRAMES) / fps * 1000, atol=1e-3)


@pytest.mark.parametrize(
    ("argv", "published"),
    [((), "fps=native_batch=1"), (("extraction_fps=5", "frame_selection=ffmpeg"), "fps=5_batch=1")],
)
def test_times_and_rate_of_a_real_video_are_the_published_ones(
    extract: Extract, reference_folder: Path, reference_video: Path, argv: tuple[str, ...], published: str
) -> None:
    assert extract("on_extraction=save_numpy", "output_path=real", str(reference_video), *argv).code == 0
    for name in ("timestamps_ms", "fps"):
        expected = np.load(reference_folder / published / f"{name}.npy")
        np.testing.assert_allclose(np.load(f"real/{reference_video.stem}_{name}.npy"), expected, rtol=0, atol=1e-3)
