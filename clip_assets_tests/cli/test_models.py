"""What can be named as a model, and what a name that can't be leads to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clip_assets.cli import main
from clip_assets.core.errors import SettingsError
from clip_assets.core.model.openai.weights import OPENAI_URLS
from clip_assets.settings import Settings


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIP_ASSETS_WEIGHTS", str(tmp_path))


def test_all_models_are_listed_with_what_is_known_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(listed) >= {*OPENAI_URLS, "demo", "custom", "open_clip:demo"}
    assert listed["ViT-L/14@336px"] == {
        **{"name": "ViT-L/14@336px", "feature_width": 768, "resolution": 336},
        **{"score_kind": "softmax", "is_here": False},
    }
    siglip = listed["open_clip:ViT-B-16-SigLIP/webli"]
    assert (siglip["feature_width"], siglip["resolution"], siglip["score_kind"]) == (768, 224, "sigmoid")
    assert (listed["open_clip:demo"]["score_kind"], listed["open_clip:demo"]["is_here"]) == ("sigmoid", True)


def test_the_list_can_be_narrowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "DEMO", "--here"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "demo" in line]
    assert rows == [["demo", "?", "?", "softmax", "yes"], ["open_clip:demo", "64", "64", "sigmoid", "yes"]]


def test_a_wrong_name_suggests_a_near_one() -> None:
    with pytest.raises(SettingsError, match=r"Did you mean ViT-B/32\?.*open_clip:MODEL/TAG"):
        Settings.from_environment(model_name="ViT-B-32")
