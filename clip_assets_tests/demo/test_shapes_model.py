"""The bundled model is what its card says: small, in OpenAI's layout, and right about unseen frames."""

import numpy as np
import pytest
import torch
from clip.clip import _transform
from PIL import Image

from clip_assets.demo import COLOURS, SHAPES, TEMPLATES, demo_checkpoint, demo_sentences
from clip_assets.demo.evaluate import accuracies, load, sentence_probabilities
from clip_assets.demo.shapes import Shape, draw, plain


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return load(demo_checkpoint())


def test_the_file_is_at_most_8_megabytes() -> None:
    assert demo_checkpoint().stat().st_size <= 8_000_000


def test_the_file_is_a_plain_half_precision_state_dict_with_the_official_vocabulary() -> None:
    state = torch.load(demo_checkpoint(), weights_only=True)
    assert all(tensor.dtype in (torch.float16, torch.int64) for tensor in state.values())
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    assert state["token_embedding.weight"].shape == (49408, 64)
    assert state["positional_embedding"].shape == (77, 64)
    assert 1 < state["logit_scale"].float().exp() <= 100.1


def test_unseen_frames_are_recognised_in_every_template(model: torch.nn.Module) -> None:
    measured = accuracies(model, count=600)
    assert list(measured) == list(TEMPLATES)
    assert min(measured.values()) >= 0.95, measured


def test_each_colour_of_each_shape_is_recognised_upright_on_grey(model: torch.nn.Module) -> None:
    preprocess = _transform(model.visual.input_resolution)
    frames = [draw(Shape(colour, kind), plain(320, 240)) for colour in COLOURS for kind in SHAPES]
    images = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
    probabilities = sentence_probabilities(model, images, demo_sentences())
    np.testing.assert_array_equal(probabilities.argmax(dim=-1), np.arange(len(frames)))


def test_the_sentences_name_each_colour_and_shape_once() -> None:
    sentences = demo_sentences()
    assert len(set(sentences)) == len(COLOURS) * len(SHAPES)
    assert sentences[0] == "a photo of a red circle"
    assert demo_sentences("a {colour} {shape}")[-1] == "a black cross"
