"""A project: what `clip-assets init` writes, how a command finds it, and that nothing of the user's is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

from clip_assets.cli import main
from clip_assets.core.errors import LibraryError, SettingsError
from clip_assets.project import (
    INSTANCE_FOLDER,
    INSTANCE_SETTINGS,
    enter_project,
    init_project,
    instance_folder,
    refresh_instance_settings,
)
from clip_assets.settings import Settings, variable_name


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("CLIP_ASSETS_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "my films"
    folder.mkdir()
    (folder / "it's #1.mp4").touch()
    return folder


def test_a_new_project_has_the_settings_that_were_given_and_the_others_as_comments(
    tmp_path: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "project", "--videos", "my films", "--model", "ViT-L/14", "--fps", "0.5"]) == 0
    project = tmp_path / "project"
    assert dotenv_values(project / ".env") == {
        "CLIP_ASSETS_VIDEOS": str(films),
        "CLIP_ASSETS_MODEL_NAME": "ViT-L/14",
        "CLIP_ASSETS_EXTRACTION_FPS": "0.5",
    }
    written = (project / ".env").read_text()
    assert all(f"{variable_name(name)}=" in written for name in Settings.model_fields)
    assert (project / INSTANCE_FOLDER / "dagster.yaml").read_bytes() == INSTANCE_SETTINGS.read_bytes()
    assert yaml.safe_load((project / "workspace.yaml").read_text())["load_from"]
    assert [path.name for path in films.iterdir()] == ["it's #1.mp4"]
    assert "1 videos in my films" in (told := capsys.readouterr().out)
    assert "cd project && clip-assets run" in told


def test_init_writes_over_nothing(tmp_path: Path, films: Path) -> None:
    (tmp_path / ".env").write_text("CLIP_ASSETS_MODEL_NAME=RN50\n")
    lines = list(init_project(tmp_path, str(films), None, None))
    assert (tmp_path / ".env").read_text() == "CLIP_ASSETS_MODEL_NAME=RN50\n"
    assert lines[0].startswith("there: ")


@pytest.mark.parametrize(
    ("videos", "model", "error"), [("nowhere", None, LibraryError), ("my films", "ViT-B/31", SettingsError)]
)
def test_init_with_a_wrong_argument_writes_nothing(
    tmp_path: Path, films: Path, videos: str, model: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        list(init_project(tmp_path / "project", str(tmp_path / videos), model, None))
    assert not (tmp_path / "project").exists()


@pytest.mark.parametrize("videos", ["/data/my films", "/data/it's #1", '/data/"quoted" $HOME \\ back'])
def test_a_setting_with_special_characters_is_read_back_as_it_was(tmp_path: Path, videos: str) -> None:
    from clip_assets.project import environment_file

    (tmp_path / ".env").write_text(environment_file({"videos": videos}))
    assert dotenv_values(tmp_path / ".env") == {"CLIP_ASSETS_VIDEOS": videos}


def test_a_command_goes_to_the_nearest_project_above(
    tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(init_project(tmp_path, str(films), None, None))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    enter_project()
    assert Path.cwd() == tmp_path
    assert instance_folder() == tmp_path / INSTANCE_FOLDER


def test_the_instance_that_the_environment_names_comes_first(
    tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(init_project(tmp_path, str(films), None, None))
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(other))
    monkeypatch.chdir(films)
    enter_project()
    assert (Path.cwd(), instance_folder()) == (films, other)


def test_a_project_within_one_of_dg_stays_where_its_settings_are(
    tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.dg]\ndirectory_type = "project"\n')
    project = tmp_path / "project"
    list(init_project(project, films, None, None))
    monkeypatch.setenv("DAGSTER_HOME", str(project / INSTANCE_FOLDER))
    for folder, entered in ((project, project), (films, tmp_path)):
        monkeypatch.chdir(folder)
        enter_project()
        assert Path.cwd() == entered


@pytest.mark.parametrize(("home", "words"), [("", "clip-assets init"), ("/nowhere/at/all", "mkdir -p")])
def test_a_missing_project_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, home: str, words: str
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", home)
    with pytest.raises(SettingsError, match=words):
        instance_folder()


def test_an_edited_instance_stays_and_one_that_was_not_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "dagster.yaml"
    assert refresh_instance_settings(tmp_path) == f"wrote {mine}"
    assert refresh_instance_settings(tmp_path) == ""
    newer = tmp_path / "newer.yaml"
    newer.write_text("retention: {}\n")
    monkeypatch.setattr("clip_assets.project.INSTANCE_SETTINGS", newer)
    assert refresh_instance_settings(tmp_path) == f"wrote {mine}"
    assert mine.read_bytes() == newer.read_bytes()
    mine.write_text("telemetry: {enabled: false}\n")
    newer.write_text("telemetry: {enabled: false}\nschedules: {}\n")
    assert "It lacks: schedules." in refresh_instance_settings(tmp_path)
    assert mine.read_text() == "telemetry: {enabled: false}\n"
    assert refresh_instance_settings(tmp_path) == ""  # said once
