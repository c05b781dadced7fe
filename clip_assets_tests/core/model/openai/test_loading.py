from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace

import clip
import numpy as np
import pytest
import torch
from PIL import Image

from clip_assets.core.errors import ModelError, TextError
from clip_assets.core.model.openai import loading
from clip_assets.models import load_model
from clip_assets_tests.making.checkpoints import random_network, random_resnet, random_vit

TEXTS = ["a dog", "", "a photo of a man lifting weights", "Ein Hund läuft! 123", "a " * 75]
VIT = {"image_resolution": 64, "vision_layers": 1, "vision_width": 64, "vision_patch_size": 32}
KINDS = pytest.mark.parametrize("write", [random_vit, random_resnet])


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def load(path, **options):
    return load_model("custom", checkpoint=path, weights_folder=path.parent, **options)


def official(path):
    """The network as OpenAI's own package builds it, in fp32."""
    return clip.model.build_model(torch.load(path)).float()


def pictures():
    rng = np.random.default_rng(0)
    sizes = [(90, 120), (120, 90), (64, 64), (40, 50), (129, 257)]
    coarse = [Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)) for _ in sizes]
    return [np.array(image.resize(size)) for image, size in zip(coarse, sizes, strict=True)]


def our_images(model, method="reference"):
    preprocess = replace(model.preprocess, method=method)
    return model.encode_images(preprocess.normalise(torch.stack([preprocess.resize_crop(f) for f in pictures()])))


@KINDS
def test_image_features_agree_with_clips_own_code_and_transform(tmp_path, write):
    path = write(tmp_path / "x.pth")
    model, network = load(path), official(path)
    transform = clip.clip._transform(network.visual.input_resolution)
    with torch.no_grad():
        expected = network.encode_image(torch.stack([transform(Image.fromarray(frame)) for frame in pictures()]))
    features = our_images(model)
    assert (features.dtype, features.shape) == (torch.float32, (5, model.embed_dim))
    assert (features - expected).abs().max() <= 1e-4
    assert torch.cosine_similarity(features, expected).min() >= 0.99999
    assert torch.cosine_similarity(our_images(model, "fast"), expected).min() >= 0.9999
    assert torch.pdist(expected).min() > 0.01, "pictures that look alike to the network prove nothing"


@KINDS
def test_text_features_and_logit_scale_agree_with_clips_own_code(tmp_path, write):
    path = write(tmp_path / "x.pth")
    model, network = load(path), official(path)
    with torch.no_grad():
        expected = network.encode_text(clip.tokenize(TEXTS)).numpy()
        scale = network.logit_scale.exp().item()
    features = model.encode_texts(TEXTS)
    assert (features.dtype, features.shape) == (np.float32, (len(TEXTS), model.embed_dim))
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-4)
    assert model.score.scale == pytest.approx(scale, rel=1e-6)


def test_many_texts_give_the_features_of_each_alone(tmp_path):
    model = load(random_vit(tmp_path / "x.pth"))
    texts = [f"sentence {'very ' * (i % 7)} {i}" for i in range(130)]
    together = model.encode_texts(texts)
    for i in (0, 63, 64, 129):
        np.testing.assert_allclose(together[i], model.encode_texts([texts[i]])[0], rtol=0, atol=1e-5)
    assert model.encode_texts([]).shape == (0, model.embed_dim)


def test_text_of_78_tokens_is_an_error_that_names_it_and_77_are_taken(tmp_path):
    model = load(random_vit(tmp_path / "x.pth"))
    assert np.isfinite(model.encode_texts(["dog " * 75])).all()
    with pytest.raises(TextError, match=r"'dog dog .*78 tokens.*77"):
        model.encode_texts(["short", "dog " * 76])


def test_identity_and_sizes_are_the_files(tmp_path):
    path = random_vit(tmp_path / "x.pth")
    model = load(path)
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (model.name, model.device, model.precision) == ("custom", "cpu", "fp32")
    assert (model.embed_dim, model.preprocess.resolution) == (48, 64)


def test_fp32_weights_are_not_rounded_to_fp16(tmp_path):
    state = random_network(0, **VIT).state_dict()
    state = {key: value * (1 + 2**-20) for key, value in state.items()}
    assert any(not torch.equal(value, value.half().float()) for value in state.values())
    torch.save(state, tmp_path / "x.pth")
    loaded = load(tmp_path / "x.pth").network.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    assert {value.dtype for value in loaded.values()} == {torch.float32}


def test_fp16_checkpoint_computes_in_fp32_when_asked(tmp_path):
    path = random_vit(tmp_path / "x.pth")
    torch.save({key: value.half() for key, value in torch.load(path).items()}, tmp_path / "half.pth")
    half = load(tmp_path / "half.pth")
    assert {value.dtype for value in half.network.state_dict().values()} == {torch.float32}
    assert torch.equal(our_images(half), our_images(load(path)))


@KINDS
@pytest.mark.parametrize(("precision", "cosine"), [("fp16", 0.99999), ("bf16", 0.998)])
def test_half_precision_stays_close_to_fp32(tmp_path, write, precision, cosine):
    path = write(tmp_path / "x.pth")
    full, half = load(path), load(path, precision=precision)
    images = our_images(half)
    assert images.dtype == torch.float32
    assert torch.cosine_similarity(images, our_images(full)).min() >= cosine
    texts = [torch.from_numpy(model.encode_texts(TEXTS)) for model in (full, half)]
    assert torch.cosine_similarity(*texts).min() >= cosine
    assert half.score == full.score


@KINDS
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore::torch.jit.TracerWarning")
def test_torchscript_archive_as_openai_ships_them_loads_like_the_state_dict(tmp_path, write):
    path = write(tmp_path / "x.pth")
    network = clip.model.build_model(torch.load(path))
    for name, value in {"input_resolution": 64, "context_length": 77, "vocab_size": 49408}.items():
        vars(network).pop(name, None)
        network.register_buffer(name, torch.tensor(value))
    inputs = torch.zeros(1, 3, 64, 64), clip.tokenize("")
    torch.jit.save(torch.jit.trace(network, inputs, check_trace=False), tmp_path / "archive.pt")
    model = load(tmp_path / "archive.pt")
    assert torch.equal(our_images(model), our_images(load(path)))
    np.testing.assert_array_equal(model.encode_texts(TEXTS), load(path).encode_texts(TEXTS))


@pytest.mark.filterwarnings("error")
def test_file_that_is_overwritten_later_does_not_reach_the_loaded_model(tmp_path):
    path = random_vit(tmp_path / "x.pth")
    model = load(path)
    before = our_images(model)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(our_images(model), before)


def test_file_that_is_replaced_while_it_is_read_is_an_error(tmp_path, monkeypatch):
    path = random_vit(tmp_path / "x.pth")
    read = loading.read_state_dict

    def read_and_replace(path):
        state = {key: value.clone() for key, value in read(path).items()}
        path.write_bytes(b"another")
        return state

    monkeypatch.setattr(loading, "read_state_dict", read_and_replace)
    with pytest.raises(ModelError, match="replaced while"):
        load(path)


def test_resnet_saved_without_batch_counters_loads(tmp_path):
    path = random_resnet(tmp_path / "x.pth")
    state = {key: value for key, value in torch.load(path).items() if not key.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "y.pth")
    assert torch.equal(our_images(load(tmp_path / "y.pth")), our_images(load(path)))


def edit(state, **changes):
    """The state with some parameters replaced, or left out where the new value is None; ``__`` stands for a dot."""
    changed = state | {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in changed.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"text_projection": None}, "without a usable text_projection"),
        ({"visual__proj": None}, "without a usable visual.layer1.0.conv1.weight"),
        ({"ln_final__bias": None}, "missing: ln_final.bias"),
        ({"logit_bias": torch.zeros(1)}, "not part of CLIP: logit_bias"),
        ({"ln_final__bias": torch.zeros(7)}, "of wrong shape: ln_final.bias (7,) instead of (64,)"),
        ({"token_embedding__weight": torch.zeros(99, 64)}, "a vocabulary of 99 tokens"),
        ({"text_projection": torch.zeros(72, 48)}, "72 wide"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_state_dict_that_is_not_quite_clips_is_an_error_that_says_where(tmp_path, changes, found):
    torch.save(edit(random_network(0, **VIT).state_dict(), **changes), tmp_path / "x.pth")
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "x.pth")
    assert found in str(caught.value)
    assert str(tmp_path / "x.pth") in str(caught.value)


def test_unknown_precision_lists_the_known_ones(tmp_path):
    with pytest.raises(ModelError, match="'int8' is not one of fp32, fp16, bf16"):
        load(random_vit(tmp_path / "x.pth"), precision="int8")


def test_importing_the_module_imports_no_torch():
    modules = "clip_assets.core.model.openai.loading, clip_assets.core.model.preprocess"
    code = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
