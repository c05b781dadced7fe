"""A project: the folder that holds the settings and Dagster's instance; how it is made, and found by a command."""

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ByteSize

from clip_assets.core.errors import SettingsError
from clip_assets.libraries import DECLARATION, Declaration, declared_libraries, definitions_folder, is_dagster_project
from clip_assets.settings import LibrarySettings, Settings, load_env_file, variable_name

INSTANCE_FOLDER = ".dagster_home"
INSTANCE_SETTINGS = Path(str(files("clip_assets"))) / "dagster.yaml"
"""The settings of Dagster's instance that this version comes with."""

_SHIPPED = ".dagster.yaml.shipped"
"""In an instance's folder: what its ``dagster.yaml`` was copied from, which tells whether it was edited since."""

WORKSPACE = """load_from:
  - python_module:
      module_name: clip_assets.definitions
      location_name: clip_assets
"""


def enter_project() -> None:
    """Go to the project that the working directory lies in: the nearest folder upward that is one.

    It is one by its Dagster instance, or as a project of Dagster's ``dg``. Then settings of ``.env`` and relative paths
    in it are those of the project. Where ``DAGSTER_HOME`` names the instance, no other is looked for.
    """
    is_named = bool(os.environ.get("DAGSTER_HOME"))
    here = Path.cwd()
    for folder in (here, *here.parents):
        has_instance = (folder / INSTANCE_FOLDER).is_dir()
        if has_instance and not is_named:
            os.environ["DAGSTER_HOME"] = str(folder / INSTANCE_FOLDER)
        elif not is_dagster_project(folder):
            if has_instance:  # a project of our own, perhaps within one of `dg`
                return
            continue
        os.chdir(folder)
        return


def instance_folder() -> Path:
    """The folder that ``DAGSTER_HOME`` names, which is there.

    Raises:
        SettingsError: It names none, or one that isn't there; what is registered would be forgotten at once.
    """
    home = os.environ.get("DAGSTER_HOME", "")
    if not home:
        raise SettingsError(
            f"There is no project here: no {INSTANCE_FOLDER} in {Path.cwd()} or above it, and DAGSTER_HOME isn't set. "
            "Make one: clip-assets init --videos FOLDER"
        )
    if not Path(home).is_absolute() or not Path(home).is_dir():
        raise SettingsError(
            f"DAGSTER_HOME is {home!r}; it must be the absolute path of the folder where Dagster keeps what it knows. "
            f'Unset it to use the project of the working directory, or: mkdir -p "{home}"'
        )
    return Path(home)


def init_project(folder: Path, videos: str, model_name: str | None, extraction_fps: float | None) -> Iterator[str]:
    """Write a project's files, none over another; a line for each, then what comes next.

    Args:
        folder: The project, made if it isn't there.
        videos: Its library, as the setting names it; it is only read.
        model_name: The model, if not the default one.
        extraction_fps: Samples per second; None: every frame.

    Raises:
        LibraryError: ``videos`` can't be listed.
        SettingsError: A value isn't allowed, or the folder can't be written.
    """
    chosen = {"videos": videos, "model_name": model_name, "extraction_fps": extraction_fps}
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = Settings.from_environment(**given)
    found = settings.source.listing()
    try:
        (folder / INSTANCE_FOLDER).mkdir(parents=True, exist_ok=True)
        yield _write_new(folder / ".env", environment_file({**given, "videos": settings.videos}))
        yield _write_new(folder / "workspace.yaml", WORKSPACE)
        refreshed = refresh_instance_settings(folder / INSTANCE_FOLDER)
    except OSError as error:
        raise SettingsError(f"{folder} can't be written: {error.strerror}. Name another folder.") from error
    yield refreshed or f"there: {folder / INSTANCE_FOLDER / 'dagster.yaml'}"
    yield f"{len(found.videos)} videos in {videos}."
    where = "" if folder.resolve() == Path.cwd().resolve() else f"cd {shlex.quote(str(folder))} && "
    yield f"Compute what they show: {where}clip-assets run"
    yield f"Ask and look:           {where}clip-assets dev"


def environment_file(given: dict[str, Any]) -> str:
    """Content of a file ``.env``: every setting with what it means; those that aren't given are commented out."""
    parts = ["# Settings of clip_assets. Relative paths are relative to this file's folder."]
    for name, field in Settings.model_fields.items():
        value = given.get(name, field.default)
        shown = "" if value is None else _spelled(value)
        if any(character in shown for character in " #'\"$\\"):
            shown = "'" + shown.replace("\\", "\\\\").replace("'", "\\'") + "'"
        parts.append(f"# {field.description}\n{'' if name in given else '# '}{variable_name(name)}={shown}")
    return "\n\n".join(parts) + "\n"


def _spelled(value: Any) -> str:
    return value.human_readable(separator="") if isinstance(value, ByteSize) else str(value)


def refresh_instance_settings(home: Path) -> str:
    """Give an instance this version's ``dagster.yaml``, unless it has one that was edited, which stays.

    Returns:
        What was done, or what is new and wasn't taken over; empty where there is nothing to say.
    """
    mine, shipped = home / "dagster.yaml", home / _SHIPPED
    new = INSTANCE_SETTINGS.read_bytes()
    before = shipped.read_bytes() if shipped.exists() else None
    current = mine.read_bytes() if mine.exists() else None
    if before == new or current == new:
        shipped.write_bytes(new)
        return ""
    shipped.write_bytes(new)
    if current is None or current == before:
        shutil.copyfile(INSTANCE_SETTINGS, mine)
        return f"wrote {mine}"
    added = [name for name in yaml.safe_load(new) if name not in (yaml.safe_load(current) or {})]
    differing = f" It lacks: {', '.join(added)}." if added else ""
    return f"kept {mine}, which was edited; this version's is {INSTANCE_SETTINGS}.{differing}"


def load_settings(library: str | None = None, **instead: Any) -> LibrarySettings:
    """The settings of a library of the project that the working directory lies in.

    Args:
        library: Its name, as a file of the project declares it; None: the one that the environment describes, or where
            that isn't part of the project, as in one of ``dg``, the only one that is declared.
        instead: Values that count in place of those that are set; None: what is set counts.

    Raises:
        SettingsError: As `Settings.from_environment`; or there is no such library, or several that may be meant.
    """
    declared, has_environment = _enter_libraries()
    given = {name: value for name, value in instead.items() if value is not None}
    if library is None:
        if has_environment:
            return Settings.from_environment(**given)
        if len(declared) > 1:
            raise SettingsError(f"There are several libraries here. Name one: --library {' | '.join(declared)}")
        library = next(iter(declared))
    return _declared(declared, library).settings(**given)


def load_libraries(library: str | None = None) -> list[LibrarySettings]:
    """The settings of all libraries of the project that the working directory lies in.

    Args:
        library: The name of the one that comes first; None: the environment's, if it is part of the project.

    Raises:
        SettingsError: As `load_settings`.
    """
    declared, has_environment = _enter_libraries()
    if library is not None:
        first = _declared(declared, library)
        declared = {library: first, **declared}
    found = [declaration.settings() for declaration in declared.values()]
    if has_environment:
        found.insert(0 if library is None else 1, Settings.from_environment())
    return found


def _enter_libraries() -> tuple[dict[str, Declaration], bool]:
    """Go to the project; the libraries that it declares by name, and whether the environment's is one of it too."""
    enter_project()
    load_env_file()
    project = Path.cwd()
    declared = declared_libraries(project)
    return declared, not declared or not is_dagster_project(project)


def _declared(declared: Mapping[str, Declaration], library: str) -> Declaration:
    if library not in declared:
        project = Path.cwd()
        known = ", ".join(declared) or f"none, for no {DECLARATION} below {definitions_folder(project)} declares one"
        raise SettingsError(f"There is no library {library!r} in {project}. There are: {known}.")
    return declared[library]


def _write_new(path: Path, content: str) -> str:
    """Write a file unless there is one; what was done."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return f"there: {path}"
    return f"wrote {path}"
