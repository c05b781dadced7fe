"""Another family of models goes the whole way, from its name to its probabilities, by what it says of itself alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clip_assets import models
from clip_assets.core.errors import ModelError
from clip_assets.core.matching import match_texts
from clip_assets.core.model.clip_model import ClipModel, Precision
from clip_assets.core.model.family import Family, Offer
from clip_assets.core.model.kernels import TypicalLayer
from clip_assets.core.model.preprocess import Preprocess
from clip_assets.core.model.score import Score
from clip_assets.core.pipeline.decoding import PipelineOptions, VideoJob
from clip_assets.core.pipeline.features import Extracted, extract_features
from clip_assets.core.pipeline.staging import GpuStaging
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.search.encoding import QueryEncoder
from clip_assets.core.search.likelihood import likelihoods
from clip_assets.core.search.texts import TextCache
from clip_assets.core.video import decode, probe
from clip_assets.default_texts import default_texts, subject
from clip_assets.models import family_of, load_model, model_names, model_sha256, same_shot_cosine
from clip_assets.results.assets import Wish, wanted_parameters
from clip_assets.results.parameters import encoding_parameters, model_parameters
from clip_assets.settings import Settings
from clip_assets_tests.making import corpus
from clip_assets_tests.making.photograph import photograph

SIDE = 16
WEIGHTS = "5" * 64
SQUASHED = Preprocess(SIDE, (0.5, 0.4, 0.3), (0.2, 0.5, 1.0), interpolation="bilinear", fit="squash")
SCORE = Score(3.0, -1.0, "sigmoid")
TEXTS = ("red", "a blue square")


class Rows(torch.nn.Module):
    """A picture's feature is its means by row, each channel's; a sentence's its tokens, again and again."""

    def encode_image(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean(dim=3).flatten(1)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens.float().repeat(1, 3 * SIDE // tokens.shape[1]) - 100


def tokenize(texts: list[str]) -> torch.Tensor:
    return torch.tensor([[*text.ljust(8).encode()][:8] for text in texts])


def load(name: str, checkpoint: Path | None, folder: Path, device: str, precision: Precision) -> ClipModel:
    return ClipModel(
        name=name,
        weights_sha256=WEIGHTS,
        device=device,
        precision=precision,
        embed_dim=3 * SIDE,
        preprocess=SQUASHED,
        tokenize=tokenize,
        score=SCORE,
        image_flops=10**6,
        typical_layer=TypicalLayer(torch.nn.Linear(4, 4), (2, 4)),
        network=Rows(),
    )


ROWS = Family(
    name="rows",
    model_names=("rows:small",),
    offers=lambda folder: [Offer("rows:small", 3 * SIDE, SIDE, "sigmoid", is_here=True)],
    knows=lambda name: name.startswith("rows:"),
    takes_checkpoint=lambda name: False,
    fetch=lambda name: None,
    sha256=lambda name, checkpoint: WEIGHTS,
    is_here=lambda name, folder: True,
    load=load,
    preprocessing="torch uint8 bilinear antialias 1",
    gpu_precision="bf16",
    template="{}, seen",
    same_shot_cosine=0.25,
    language_note="",
)


@pytest.fixture(autouse=True)
def second_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "FAMILIES", (*models.FAMILIES, ROWS))


@pytest.fixture
def model(tmp_path: Path) -> ClipModel:
    return load_model("rows:small", weights_folder=tmp_path)


def as_pillow_does_it(frame: np.ndarray) -> np.ndarray:
    resized = np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return ((resized / 255 - SQUASHED.mean) / SQUASHED.std).transpose(2, 0, 1)


def sigmoid_of(features: np.ndarray, texts: np.ndarray) -> np.ndarray:
    features, texts = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (features, texts))
    return 1 / (1 + np.exp(1 - 3 * features @ texts.T))


def test_its_features_are_of_pictures_prepared_as_it_says_and_its_probabilities_by_its_score(
    model: ClipModel, tmp_path: Path
) -> None:
    corpus.constant_rate(path := tmp_path / "clip.mp4")
    video = probe(path)
    frames = sample(video, Sampling(extraction_total=4))
    jobs = [VideoJob("clip", lambda: (video, frames))]
    (found,) = extract_features(jobs, [model], PipelineOptions(batch_size=3))
    assert isinstance(found, Extracted)
    with decode(path, frames.indices) as decoded:
        pictures = np.stack([as_pillow_does_it(frame.rgb) for frame in decoded])
    expected = pictures.mean(axis=3).reshape(4, -1)
    levels = np.tile(np.repeat(1 / (255 * np.array(SQUASHED.std)), SIDE), (4, 1))
    assert (np.abs(found.features.clip - expected) <= levels).all(), "more than one grey level apart"

    texts = model.encode_texts(TEXTS)
    match = match_texts(found.features.clip, texts, model.score, TEXTS, found.features.timestamps_ms)
    np.testing.assert_allclose(match.probabilities, sigmoid_of(found.features.clip, texts), rtol=0, atol=1e-6)
    assert np.abs(match.probabilities.sum(axis=1) - 1).min() > 0.01, "a softmax would give the same"


def test_a_question_is_encoded_and_judged_as_it_says_though_no_model_is_loaded_the_second_time(
    model: ClipModel, tmp_path: Path
) -> None:
    cache = TextCache(tmp_path / "texts.sqlite")
    encoder = QueryEncoder(WEIGHTS, lambda: model, cache)
    picture = photograph(90, 120)
    feature = encoder.picture(Image.fromarray(picture))
    pixels = SQUASHED.resize_crop(picture[None])
    assert np.array_equal(feature, model.encode_images(SQUASHED.normalise(pixels))[0].numpy())

    encoder.sentences(TEXTS)
    features, score = QueryEncoder(WEIGHTS, partial(pytest.fail, "loaded"), cache).sentences(TEXTS)
    (likely,) = likelihoods([feature], features[0], TEXTS[1:], features[1:], score)
    assert likely.probability == pytest.approx(sigmoid_of(feature[None], features)[0, 0], abs=1e-6)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda:0", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_the_gpus_arithmetic_follows_its_preprocessing(device: str, fit: str) -> None:
    preprocess = replace(SQUASHED, fit=fit)
    staging, frame = GpuStaging(preprocess, device), photograph(90, 121)
    staging.add(frame)
    (on_gpu,), on_cpu = staging.take(), preprocess.resize_crop(frame)
    assert (on_gpu.cpu().int() - on_cpu.int()).abs().max() <= 1
    reference = replace(preprocess, method="reference").resize_crop(frame)
    assert (on_cpu.int() - reference.int()).abs().max() <= 1


def test_settings_take_its_names_and_data_versions_tell_its_preprocessing() -> None:
    settings = Settings.from_environment(model_name="rows:any other")
    encoding = encoding_parameters(model_parameters(settings, "fp32"), settings.pipeline_options)
    assert (encoding["weights_sha256"], encoding["preprocessing"]) == (WEIGHTS, "torch uint8 bilinear antialias 1")
    assert settings.custom_checkpoint is None
    assert Settings.from_environment(model_name="custom").custom_checkpoint is not None


def test_its_template_makes_the_default_sentences_and_its_threshold_the_shots() -> None:
    assert default_texts("rows:any")[0] == "abseiling, seen"
    assert subject("a dog, seen", "rows:any") == "a dog"
    assert subject("a photo of a dog", "forgotten model") == "a dog"
    settings = Settings.from_environment(model_name="rows:any")
    encoding = encoding_parameters(model_parameters(settings, "fp32"), settings.pipeline_options)
    wanted = wanted_parameters(Wish({}, encoding, {}))
    assert wanted["shots"]["same_shot_cosine"] == 0.25
    assert same_shot_cosine("forgotten model") == same_shot_cosine("demo") == 0.9


def test_a_name_that_no_family_knows_lists_those_of_all() -> None:
    for ask in (family_of, model_sha256, partial(load_model, weights_folder=Path())):
        with pytest.raises(ModelError, match="'nobody:knows'") as caught:
            ask("nobody:knows")
        assert all(name in str(caught.value) for name in (*model_names(), "rows:small"))


def test_a_sigmoid_of_large_logits_does_not_overflow() -> None:
    with np.errstate(over="raise"):
        assert SCORE.probabilities(np.array([[-1e4, 0.0, 1e4]])).tolist() == [[0.0, 0.5, 1.0]]
