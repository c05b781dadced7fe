from __future__ import annotations

import json
import struct

import pytest
import torch

from clip_assets.core.errors import ModelError
from clip_assets.core.model.openai.checkpoints import read_state_dict, some

STATE = {"visual.a": torch.arange(3.0), "b": torch.arange(4, dtype=torch.float16)}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "optimizer": {"lr": 1.0}},
        {f"module.{key}": value for key, value in STATE.items()},
        {"state_dict": {f"module.{key}": value for key, value in STATE.items()}},
        STATE | {"input_resolution": torch.tensor(64), "context_length": torch.tensor(77)},
    ],
    ids=["plain", "state_dict", "model", "module prefix", "state_dict and module prefix", "with sizes"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_wrapping_gives_the_same_parameters(tmp_path, content, zipped):
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    state = read_state_dict(tmp_path / "x.pth")
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], STATE[key]) and state[key].dtype == STATE[key].dtype for key in STATE)


def test_prefix_that_only_some_names_have_is_kept(tmp_path):
    torch.save({"module.a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "x.pth")
    assert set(read_state_dict(tmp_path / "x.pth")) == {"module.a", "b"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "0 bytes"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1", "version https://git-lfs"),
        (struct.pack("<Q", 20) + json.dumps({"a": {}}).encode(), "safetensors"),
        (b"PK\x03\x04" + bytes(50), "damaged or incomplete checkpoint of 54 bytes"),
        (b"\x80\x02" + bytes(50), "Python objects other than tensors"),
    ],
)
def test_file_that_torch_did_not_write_is_named_for_what_it_is(tmp_path, content, found):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_state_dict(path)
    assert found in str(caught.value)
    assert str(path) in str(caught.value)
    assert "Expected a CLIP checkpoint in OpenAI's layout" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"epoch": 1, "optimizer": {}}, "a dict with the keys epoch, optimizer"),
        ({f"k{i}": i for i in range(9)}, "k0, k1, k2, k3 and 5 more"),
        ({}, "an empty dict"),
        ([torch.zeros(1)], "an object of type list"),
        (torch.zeros(1), "an object of type Tensor"),
        (torch.nn.Linear(1, 1), "Python objects other than tensors (torch.nn.modules.linear.Linear)"),
        ({"vision_model.embeddings.class_embedding": torch.zeros(1)}, "the transformers library"),
    ],
    ids=["training state", "long dict", "empty dict", "list", "tensor", "pickled module", "transformers"],
)
def test_object_that_is_no_clip_state_dict_is_named_for_what_it_is(tmp_path, content, found):
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ModelError) as caught:
        read_state_dict(tmp_path / "x.pth")
    assert found in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_checkpoint_cut_short_is_an_error_of_ours(tmp_path, zipped, kept):
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=zipped)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ModelError):
        read_state_dict(path)


def test_pickle_that_would_run_code_is_refused_without_running_it(tmp_path):
    class Touch:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    torch.save({"state_dict": Touch()}, tmp_path / "x.pth")
    with pytest.raises(ModelError, match="Python objects other than tensors"):
        read_state_dict(tmp_path / "x.pth")
    assert not (tmp_path / "ran").exists()


def test_missing_file_is_an_error_of_ours(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        read_state_dict(tmp_path / "nowhere.pth")


def test_some_shortens_long_lists_only():
    assert some("abcd") == "a, b, c, d"
    assert some("abcde", limit=2) == "a, b and 3 more"
