"""What arguments mean: typed, checked, and explicit before environment before default."""

from __future__ import annotations

from pathlib import Path

import pytest

from clip_assets.core.errors import SettingsError
from clip_assets.extract.arguments import parse_arguments
from clip_assets.extract.options import FLAGS, KEYS, Request, help_lines, read_request

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-video-features.md"

pytestmark = pytest.mark.usefixtures("workdir")


def request(*argv: str) -> Request:
    return read_request(parse_arguments([*argv, "a.mp4"], KEYS, FLAGS))


def test_defaults_are_video_features_own_save_for_the_batch() -> None:
    made = request()
    assert (made.options.on_extraction, made.options.show_pred) == ("print", False)
    assert made.options.output_path == Path.cwd() / "output"
    assert (made.settings.model_name, made.settings.batch_size) == ("ViT-B/32", "auto")
    assert (made.settings.extraction_fps, made.settings.pred_texts) == (None, None)


def test_an_argument_comes_before_the_environment_which_comes_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLIP_ASSETS_BATCH_SIZE", "8")
    monkeypatch.setenv("CLIP_ASSETS_VIDEO_TIMEOUT", "5")
    assert request().settings.batch_size == 8
    made = request("batch_size=4")
    assert (made.settings.batch_size, made.settings.video_timeout) == (4, 5.0)


def test_null_undoes_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_ASSETS_EXTRACTION_FPS", "3")
    assert request().settings.extraction_fps == 3
    assert request("extraction_fps=null").settings.extraction_fps is None


def test_a_given_total_displaces_the_rate_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_ASSETS_EXTRACTION_FPS", "3")
    settings = request("extraction_total=16").settings
    assert (settings.extraction_fps, settings.extraction_total) == (None, 16)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("device_ids=[0, 2]", [0, 2]),
        ("device_ids=1", [1]),
        ("device=cuda:2", [2]),
        ("device=cuda", [0]),
        ("device_ids=['cuda:0', 'cuda:1']", [0, 1]),
        ("device=cpu", "cpu"),
        ("device_ids=[cpu, cpu]", ["cpu", "cpu"]),
        ("cpu=true", "cpu"),
        ("device_ids=auto", "auto"),
    ],
)
def test_devices_are_named_as_in_either_version_of_video_features(argument: str, expected: object) -> None:
    assert request(argument).settings.device_ids == expected


@pytest.mark.parametrize(
    "argument",
    [
        *("feature_type=i3d", "on_extraction=save", "pred_format=xml", "layout=deep", "feature_dtype=float16"),
        *("batch_size=0", "batch_size=true", "extraction_fps=-1", "extraction_total=2.5", "pred_texts=[]"),
        *("device_ids=gpu", "frame_selection=nearest", "force=maybe", "show_pred=7"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_key(argument: str) -> None:
    with pytest.raises(SettingsError, match=f"^{argument.partition('=')[0]}="):
        request(argument)


def test_rate_and_total_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="extraction_fps=1 and extraction_total=2 exclude each other"):
        request("extraction_fps=1", "extraction_total=2")


def test_a_checkpoint_beside_a_named_model_is_an_error() -> None:
    with pytest.raises(SettingsError, match="Add model_name=custom"):
        request("checkpoint=x.pth")
    assert request("checkpoint=x.pth", "model_name=custom").settings.checkpoint == str(Path.cwd() / "x.pth")


def test_help_and_the_page_for_newcomers_explain_every_key() -> None:
    explained, page = "\n".join(help_lines()), PAGE.read_text(encoding="utf-8")
    for key in KEYS:
        assert f"\n  {key}" in explained
        assert f"`{key}`" in page
