"""The libraries that a project's files declare: for the commands, which read them without Dagster, and for Dagster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import clip_assets
from clip_assets.cli import main
from clip_assets.core.errors import SettingsError
from clip_assets.libraries import declared_libraries
from clip_assets.project import load_libraries, load_settings
from clip_assets.results.assets import PER_VIDEO

FILMS = """type: clip_assets.ClipLibraryComponent
attributes:
  videos: films
  model_name: demo
  extraction_fps: "{{ env.FPS }}"
"""
SHORTS = """type: clip_assets.ClipLibraryComponent
attributes:
  {name: shorts, sensor: on, pictures: off, output: /elsewhere, prefix: media/shorts,
   videos: "{{ context.project_root }}/films"}
---
type: another.Component
"""
PYPROJECT = """[tool.dg]
directory_type = "project"
[tool.dg.project]
root_module = "{module}"
"""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("CLIP_ASSETS_", "DAGSTER_HOME"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FPS", "2.5")
    monkeypatch.chdir(tmp_path)


def declare(folder: Path, content: str) -> None:
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(content)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A project of ours with two further libraries."""
    (tmp_path / "films").mkdir()
    (tmp_path / "films/a.mp4").touch()
    assert main(["init", "--videos", "films"]) == 0
    declare(tmp_path / "defs/films", FILMS)
    declare(tmp_path / "defs/deep/er", SHORTS)
    return tmp_path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of dg's, which can be imported."""
    module = f"platform_{tmp_path.name}"
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(module=module))
    declare(tmp_path / "src" / module / "defs/films", FILMS)
    for package in (module, f"{module}/defs"):
        (tmp_path / "src" / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    return tmp_path / "src" / module


def test_a_library_is_what_its_file_says(plain: Path) -> None:
    films, shorts = (load_settings(name) for name in ("films", "shorts"))
    assert (films.name, films.prefix, films.group) == ("films", "films", "films")
    assert (films.videos, films.output) == (str(plain / "films"), str(plain / "output/films"))
    assert (films.model_name, films.extraction_fps) == ("demo", 2.5)
    assert (shorts.sensor, shorts.pictures) == ("on", "off")
    assert (shorts.videos, shorts.output, shorts.prefix) == (str(plain / "films"), "/elsewhere", "media/shorts")


def test_relative_paths_are_the_project_s_wherever_a_command_is_called(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plain / "defs/deep")
    assert load_settings("films").videos == str(plain / "films")


def test_the_environment_s_library_comes_first_in_a_project_of_ours(plain: Path) -> None:
    assert load_settings().name == ""
    assert [one.name for one in load_libraries()] == ["", "shorts", "films"]
    assert [one.name for one in load_libraries("films")] == ["films", "", "shorts"]


def test_in_a_project_of_dg_s_the_only_library_needs_no_name(project: Path) -> None:
    assert load_settings().name == "films"
    declare(project / "defs/other", FILMS)
    with pytest.raises(SettingsError, match=r"several libraries here. Name one: --library films \| other"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (FILMS.replace("demo", "ViT-B32"), r"defs.yaml: model_name='ViT-B32' is not allowed.*Did you mean ViT-B/32"),
        (FILMS.replace("model_name", "model"), r"defs.yaml: Unknown setting model\. Did you mean model_name"),
        (FILMS.replace("FPS", "SPF"), "defs.yaml: The environment variable SPF isn't set"),
        (FILMS.replace("env.FPS", "load_component('x')"), "Dagster alone knows the rest"),
        (FILMS.replace("videos: films", "videos: ["), "defs.yaml can't be read as YAML"),
        ("type: clip_assets.ClipLibraryComponent\nattributes: [a]\n", "attributes must be a mapping"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_name(tmp_path: Path, content: str, words: str) -> None:
    declare(tmp_path / "defs/films", content)
    with pytest.raises(SettingsError, match=words):
        load_settings("films")


def test_names_are_those_of_one_library_each(plain: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no library 'film' in .* There are: shorts, films"):
        load_settings("film")
    declare(plain / "defs/twice/films", FILMS)
    with pytest.raises(SettingsError, match="both declare the library 'films'"):
        declared_libraries(plain)


def test_names_are_learnt_without_dagster(plain: Path) -> None:
    told = "import sys; from clip_assets.project import *; load_libraries(); sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], cwd=plain, check=False).returncode == 0


def test_dagster_makes_of_the_file_what_the_commands_do(project: Path) -> None:
    definitions = dg.load_from_defs_folder(path_within_project=project)
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {f"films/{asset}" for asset in ("video", *PER_VIDEO)}
    resources = definitions.resources or {}
    settings = load_settings("films")
    assert resources["films_library"].root == str(settings.videos)
    assert resources["films_io_manager"].base_path == settings.output
    assert resources["films_clip_model"].model_name == "demo"


def test_a_host_s_executor_stays_and_the_library_s_jobs_name_theirs() -> None:
    settings = clip_assets.LibrarySettings(name="films", model_name="demo")
    merged = dg.Definitions.merge(
        clip_assets.build_definitions(settings), dg.Definitions(executor=dg.multiprocess_executor)
    )
    assert merged.resolve_implicit_global_asset_job_def().executor_def.name == "multiprocess"
    assert merged.resolve_job_def("films_extract_clip_features").executor_def.name == "in_process"


def test_the_package_alone_brings_neither_torch_nor_dagster() -> None:
    told = "import sys, clip_assets; dir(clip_assets); sys.exit(bool({'torch', 'dagster'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
    assert {"ClipLibraryComponent", "LibrarySettings", "build_definitions", "open_library"} <= set(dir(clip_assets))
