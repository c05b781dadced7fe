"""Features and probabilities are those of open_clip's own transform, tokenizer and forward, of the same files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from clip_assets.core.errors import ModelError, TextError
from clip_assets.core.matching import match_texts
from clip_assets.core.model.clip_model import ClipModel
from clip_assets.core.model.kernels import onednn_kernels, torch_kernels
from clip_assets.core.model.open_clip import work
from clip_assets.models import load_model
from clip_assets_tests.making.checkpoints import random_network
from clip_assets_tests.making.open_clip_models import (
    ARCHITECTURES,
    CLIP_PICTURES,
    preprocessing_of,
    weights_of,
    write_model,
)
from clip_assets_tests.making.photograph import photograph

TEXTS = ["a photo of a red circle", "blue square", "a circle"]
FRAMES = [photograph(90, 121, 0), photograph(121, 90, 1), photograph(64, 64, 2)]


def ours_of(folder: Path, precision: str = "fp32") -> ClipModel:
    return load_model(f"open_clip:local-dir:{folder}", weights_folder=folder, precision=precision)


def theirs_of(folder: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.nn.Module]:
    """The input, the features of pictures and of sentences, and the network, by open_clip alone."""
    network, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
    pictures = torch.stack([preprocess(Image.fromarray(frame)) for frame in FRAMES])
    with torch.inference_mode():
        return pictures, network.eval().encode_image(pictures), network.encode_text(tokens), network


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp(request.param)
    return write_model(made, ARCHITECTURES[request.param], preprocessing_of(request.param))


def test_features_and_probabilities_are_open_clip_s(folder: Path) -> None:
    model = ours_of(folder)
    pictures, features, texts, network = theirs_of(folder)
    scale = features.abs().max().clamp(min=1.0)
    assert (model.encode_images(pictures) - features).abs().max() <= 1e-5 * scale
    ours = model.encode_texts(TEXTS)
    np.testing.assert_allclose(ours, texts.numpy(), rtol=0, atol=1e-5)

    with torch.inference_mode():
        one, other = (torch.nn.functional.normalize(rows.double(), dim=-1) for rows in (features, texts))
        logits = network.logit_scale.exp() * one @ other.T
        is_sigmoid = network.logit_bias is not None
        expected = (logits + network.logit_bias).sigmoid() if is_sigmoid else logits.softmax(dim=-1)
    match = match_texts(model.encode_images(pictures).numpy(), ours, model.score, TEXTS, np.arange(3.0))
    np.testing.assert_allclose(match.probabilities, expected.numpy(), rtol=0, atol=1e-6)
    assert (match.score_kind == "sigmoid") == is_sigmoid == ("siglip" in folder.name)


def test_fast_preprocessing_is_within_one_grey_level_of_open_clip_s(folder: Path) -> None:
    preprocess = ours_of(folder).preprocess
    levels = 1 / (255 * torch.tensor(preprocess.std).view(3, 1, 1))
    for frame, expected in zip(FRAMES, theirs_of(folder)[0], strict=True):
        ours = preprocess.normalise(preprocess.resize_crop(frame)[None])[0]
        # In a picture smaller than about twice the model's one value of thousands may be two levels off.
        assert ((ours - expected).abs() > 1.01 * levels).float().mean() < 1e-3
        assert ((ours - expected).abs() <= 2.01 * levels).all()


def test_the_other_kernels_give_the_same_and_its_work_is_known(folder: Path) -> None:
    model = ours_of(folder)
    pictures, features, _, _ = theirs_of(folder)
    work.compute_with(model.network, onednn_kernels())
    scale = features.abs().max().clamp(min=1.0)
    assert (model.encode_images(pictures) - features).abs().max() <= 1e-5 * scale
    assert model.image_flops > 10**5
    assert model.typical_layer.layer in list(model.network.modules())


def test_half_precision_computes_what_fp32_does_but_for_rounding(folder: Path) -> None:
    pictures, features, texts, _ = theirs_of(folder)
    model = ours_of(folder, "bf16")
    assert torch.cosine_similarity(model.encode_images(pictures), features).min() > 0.99
    assert torch.cosine_similarity(torch.from_numpy(model.encode_texts(TEXTS)), texts).min() > 0.99


def test_openai_s_vit_b_32_gives_the_same_through_both_families(tmp_path: Path) -> None:
    """Its image encoder whole; of its text encoder, which is the same code, two layers."""
    network = random_network(0, image_resolution=224, vision_layers=12, vision_width=768, vision_patch_size=32)
    torch.save(network.state_dict(), tmp_path / "clip.pth")
    config = {
        "embed_dim": 48,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
    }
    write_model(tmp_path / "folder", config)
    state = {name: value.clone() for name, value in network.state_dict().items()}
    weights_of(tmp_path / "folder").unlink()
    torch.save(state, tmp_path / "folder" / "open_clip_pytorch_model.bin")
    openai = load_model("custom", checkpoint=tmp_path / "clip.pth", weights_folder=tmp_path)
    other = ours_of(tmp_path / "folder")
    assert openai.preprocess == other.preprocess
    batch = openai.preprocess.normalise(torch.stack([openai.preprocess.resize_crop(frame) for frame in FRAMES]))
    features = [model.encode_images(batch).numpy() for model in (openai, other)]
    texts = [model.encode_texts(TEXTS) for model in (openai, other)]
    for one, two in (features, texts):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
    matches = [
        match_texts(of_pictures, of_texts, model.score, TEXTS, np.arange(3.0)).probabilities
        for of_pictures, of_texts, model in zip(features, texts, (openai, other), strict=True)
    ]
    np.testing.assert_allclose(*matches, rtol=0, atol=1e-6)


@pytest.mark.parametrize("architecture", ["siglip", "vit_gelu"])
def test_a_sentence_that_open_clip_would_cut_is_an_error(architecture: str, tmp_path: Path) -> None:
    model = ours_of(write_model(tmp_path, ARCHITECTURES[architecture], preprocessing_of(architecture)))
    length = ARCHITECTURES[architecture]["text_cfg"]["context_length"]
    around = 0 if architecture == "siglip" else 2
    model.encode_texts([" ".join(["red"] * (length - around))])
    with pytest.raises(TextError, match=f"has {length + 1} tokens; the model takes at most {length}"):
        model.encode_texts(["a", " ".join(["red"] * (length - around + 1))])


@pytest.mark.parametrize("mode", ["longest", "squash", "shortest"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(201, 333), (333, 201), (1, 40), (40, 1), (3, 2)])
def test_pictures_of_any_size_are_prepared_as_open_clip_does(
    mode: str, interpolation: str, height: int, width: int
) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from clip_assets.core.model.open_clip.transform import transform

    settings = {**CLIP_PICTURES, "resize_mode": mode, "interpolation": interpolation}
    frame = photograph(height, width)
    expected = image_transform_v2(PreprocessCfg(**settings, size=64), is_train=False)(Image.fromarray(frame))
    preprocess = transform(settings, 64)
    ours = preprocess.normalise(preprocess.resize_crop(frame)[None])[0]
    levels = 1 / (255 * torch.tensor(preprocess.std).view(3, 1, 1))
    if mode == "shortest" and height > 2 * width:  # see `Preprocess` on tall pictures and Pillow
        return
    assert ((ours - expected).abs() <= 1.01 * levels).float().mean() > 0.999
    assert ((ours - expected).abs() <= 2.01 * levels).all()


def test_weights_that_are_not_the_configuration_s_are_refused_and_so_is_a_sigmoid_without_its_bias(
    tmp_path: Path,
) -> None:
    folder = write_model(tmp_path / "a", ARCHITECTURES["vit_gelu"])
    other = write_model(tmp_path / "b", ARCHITECTURES["resnet"])
    weights_of(folder).write_bytes(weights_of(other).read_bytes())
    with pytest.raises(ModelError, match="doesn't hold the weights of its model's configuration"):
        ours_of(folder)
    weights_of(folder).write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="doesn't hold the weights"):
        ours_of(folder)

    softmax = write_model(tmp_path / "c", ARCHITECTURES["vit_gelu"])
    config = json.loads((softmax / "open_clip_config.json").read_text())
    config["model_cfg"]["init_logit_bias"] = -10
    (softmax / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="no logit_bias"):
        ours_of(softmax)


def test_a_weight_beyond_fp16_is_refused_there(tmp_path: Path) -> None:
    folder = write_model(tmp_path, ARCHITECTURES["vit_gelu"])
    network = ours_of(folder).network
    network.visual.conv1.weight[0, 0, 0, 0] = 1e6
    from safetensors.torch import save_file

    save_file(network.state_dict(), weights_of(folder))
    ours_of(folder)
    with pytest.raises(ModelError, match="beyond the range of fp16"):
        ours_of(folder, "fp16")


def test_a_text_encoder_of_transformers_is_made_of_the_folder_s_own_configuration(tmp_path: Path) -> None:
    tower = {
        **{"model_type": "roberta", "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "pad_token_id": 1},
        **{"num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 40},
    }
    (tmp_path / "config.json").write_text(json.dumps(tower))
    text = {
        **{"hf_model_name": str(tmp_path), "hf_tokenizer_name": "some/tokenizer", "hf_model_pretrained": False},
        **{"hf_proj_type": "mlp", "hf_pooler_type": "mean_pooler", "context_length": 16},
    }
    write_model(tmp_path, {**ARCHITECTURES["vit_gelu"], "text_cfg": text})
    network = open_clip.create_model(f"local-dir:{tmp_path}", pretrained_text=False).eval()
    with torch.inference_mode():
        expected = network.encode_text(open_clip.get_tokenizer(f"local-dir:{tmp_path}")(TEXTS))
    np.testing.assert_allclose(ours_of(tmp_path).encode_texts(TEXTS), expected.numpy(), rtol=0, atol=1e-5)
    halved = torch.from_numpy(ours_of(tmp_path, "bf16").encode_texts(TEXTS))
    assert torch.cosine_similarity(halved, expected).min() > 0.999
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelError, match="the configuration of the text encoder"):
        ours_of(tmp_path)


def test_torch_s_own_kernels_leave_the_network_as_it_is(tmp_path: Path) -> None:
    model = ours_of(write_model(tmp_path, ARCHITECTURES["vit_gelu"]))
    work.compute_with(model.network, torch_kernels())
    assert not [module for module in model.network.modules() if "forward" in vars(module)]
