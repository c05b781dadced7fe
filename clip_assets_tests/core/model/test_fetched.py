"""Weights at a URL are fetched once a host, and are whole or not there."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import fsspec
import pytest

from clip_assets.core.errors import ModelError
from clip_assets.core.model.fetched import local_weights
from clip_assets.models import model_sha256
from clip_assets.settings import Settings
from clip_assets_tests.making.checkpoints import random_vit

URL = "memory://weights/vit.pth"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_model_from_a_url_is_the_model_of_the_file_and_is_fetched_once(tmp_path: Path) -> None:
    weights = random_vit(tmp_path / "vit.pth")
    fsspec.filesystem("memory").pipe_file("/weights/vit.pth", weights.read_bytes())
    settings = Settings.from_environment(model_name="custom", checkpoint=URL)
    assert settings.custom_checkpoint == URL
    assert model_sha256("custom", settings.custom_checkpoint) == model_sha256("custom", weights)
    fsspec.filesystem("memory").rm_file("/weights/vit.pth")
    assert local_weights(URL).read_bytes() == weights.read_bytes()
    assert local_weights(weights) == weights


def test_what_breaks_off_leaves_nothing_and_says_what_it_was(cache: Path) -> None:
    def half(_: object, __: str, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("connection lost")

    with (
        patch("fsspec.implementations.memory.MemoryFileSystem.get_file", half),
        pytest.raises(ModelError, match=r"memory://weights/vit.pth can't be fetched: connection lost"),
    ):
        local_weights(URL)
    assert not [path for path in (cache / "clip_assets" / "weights").iterdir() if path.suffix != ".lock"]
    with pytest.raises(ModelError, match="can't be fetched"):
        local_weights("nowhere://weights.pth")
