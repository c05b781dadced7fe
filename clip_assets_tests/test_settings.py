"""Settings: each has one name, one default and one description; a wrong value names its variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from clip_assets.core.errors import SettingsError
from clip_assets.settings import Settings, load_env_file, variable_name

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for field in Settings.model_fields:
        monkeypatch.delenv(variable_name(field), raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    settings = Settings.from_environment()
    assert settings.videos == str(tmp_path / "videos")
    assert settings.output == str(tmp_path / "output")
    assert (settings.model_name, settings.device_ids, settings.precision) == ("ViT-B/32", "auto", "auto")
    assert (settings.batch_size, settings.format, settings.decoder) == ("auto", "numpy", "pyav")
    assert settings.sampling.parameters["extraction_fps"] is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DEVICE_IDS", "cpu", "cpu"),
        ("DEVICE_IDS", "[0, 2]", [0, 2]),
        ("DEVICE_IDS", "1", [1]),
        ("EXTRACTION_FPS", "0.5", 0.5),
        ("PRED_TEXTS", "['a dog, smiling', a man]", ["a dog, smiling", "a man"]),
        ("OUTPUT", "s3://bucket/clip", "s3://bucket/clip"),
        ("BATCH_SIZE", "64", 64),
        ("BATCH_SIZE", "auto", "auto"),
        ("BATCH_SIZE", "", "auto"),
        ("OWNERS", "[team:video, ada@example.org]", ["team:video", "ada@example.org"]),
        ("TAGS", "{project: films}", {"project": "films"}),
    ],
)
def test_a_variable_is_read_as_its_type(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: object
) -> None:
    monkeypatch.setenv(f"CLIP_ASSETS_{name}", value)
    assert getattr(Settings.from_environment(), name.lower()) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BATCH_SIZE", "0"),
        ("BATCH_SIZE", "many"),
        ("DEVICE_IDS", "cuda"),
        ("DEVICE_IDS", "[-1]"),
        ("PRECISION", "fp8"),
        ("FORMAT", "csv"),
        ("MODEL_NAME", "VIT-B32"),
        ("EXTRACTION_FPS", "0"),
        ("EXTRACTION_FPS", "nan"),
        ("PRED_TEXTS", "[]"),
        ("PRED_TEXTS", "[a"),
        ("VIDEO_TIMEOUT", "-1"),
        ("GROUP", "two words"),
        ("OWNERS", "[ada]"),
        ("TAGS", "{project: two words}"),
        ("EXPORT_PARQUET", "s3://bucket/tables"),
        ("VIDEOS", "s3:/bucket/films"),
        ("CACHE_SIZE", "much"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CLIP_ASSETS_{name}", value)
    with pytest.raises(SettingsError, match=f"CLIP_ASSETS_{name}="):
        Settings.from_environment()


@pytest.mark.parametrize("name", ["vit-b/32", "ViT-B32"])
def test_a_mistyped_model_is_told_the_name_that_is_near(name: str) -> None:
    with pytest.raises(SettingsError, match=r"Did you mean ViT-B/32\?"):
        Settings.from_environment(model_name=name)


def test_fps_and_total_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_ASSETS_EXTRACTION_FPS", "1")
    monkeypatch.setenv("CLIP_ASSETS_EXTRACTION_TOTAL", "16")
    with pytest.raises(SettingsError, match="CLIP_ASSETS_EXTRACTION_FPS and CLIP_ASSETS_EXTRACTION_TOTAL exclude"):
        Settings.from_environment()


def test_a_misspelt_variable_is_an_error_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_ASSETS_EXTRACTION_FSP", "1")
    with pytest.raises(SettingsError, match=r"CLIP_ASSETS_EXTRACTION_FSP\. Did you mean CLIP_ASSETS_EXTRACTION_FPS"):
        Settings.from_environment()


def test_the_env_file_of_the_working_directory_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLIP_ASSETS_BATCH_SIZE", "8")
    (tmp_path / ".env").write_text("CLIP_ASSETS_BATCH_SIZE=4\n")
    load_env_file()
    assert Settings.from_environment().batch_size == 4


def test_the_example_env_file_has_each_setting_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    example = dotenv_values(ROOT / ".env.example")
    assert set(example) == {variable_name(field) for field in Settings.model_fields}
    defaults = Settings.from_environment()
    for name, value in example.items():
        monkeypatch.setenv(name, value or "")
    assert Settings.from_environment() == defaults


def test_the_readme_documents_each_setting() -> None:
    documented = set(re.findall(r"^\| `(CLIP_ASSETS_\w+)`", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert documented == {variable_name(field) for field in Settings.model_fields}
