"""The libraries of a project: the one that the environment describes, and those that files of it declare.

A declaration is the YAML of a Dagster component. It is read here without Dagster, whose import takes longer than many a
command.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clip_assets.core.errors import SettingsError
from clip_assets.settings import LibrarySettings

COMPONENT = "clip_assets.ClipLibraryComponent"
"""The type that a declaration names."""

DECLARATION = "defs.yaml"


@dataclass(frozen=True)
class Declaration:
    """A library that a file declares.

    Attributes:
        name: The library's.
        file: The file.
        attributes: What it says, as YAML has it.
        root: The project's folder, which relative paths are relative to.
    """

    name: str
    file: Path
    attributes: Mapping[str, Any]
    root: Path

    def settings(self, **instead: Any) -> LibrarySettings:
        """The library's settings, with what the file takes from the environment.

        Args:
            instead: Values that count in place of the file's.

        Raises:
            SettingsError: A value isn't allowed, or can't be had.
        """
        try:
            given = _resolved(self.attributes, self.root)
            return LibrarySettings.checked(self.root, **{**given, **instead, "name": self.name})
        except SettingsError as error:
            raise SettingsError(f"{self.file}: {error}") from error


def library_name(attributes: Mapping[str, Any], folder: Path) -> str:
    """The name of a library that a file in a folder declares: the one that it says, or else the folder's."""
    return str(attributes.get("name") or re.sub(r"\W", "_", folder.name, flags=re.ASCII))


def declared_libraries(root: Path) -> dict[str, Declaration]:
    """The libraries that a project's files declare, by name.

    Args:
        root: The project's folder.

    Raises:
        SettingsError: A file isn't YAML, or two declare the same name.
    """
    found: dict[str, Declaration] = {}
    for file in sorted(_files(definitions_folder(root))):
        for attributes in _declared_in(file):
            name = library_name(attributes, file.parent)
            if name in found:
                raise SettingsError(f"{file} and {found[name].file} both declare the library {name!r}; rename one.")
            found[name] = Declaration(name, file, attributes, root)
    return found


def is_dagster_project(folder: Path) -> bool:
    """Whether a folder is a project of Dagster's command ``dg``."""
    return _dg_settings(folder) is not None


def definitions_folder(root: Path) -> Path:
    """Where a project's components are: of ``dg``'s projects as they say, of others in ``defs``."""
    project = (_dg_settings(root) or {}).get("project", {})
    if not (package := project.get("root_module")):
        return root / "defs"
    below = str(project.get("defs_module", f"{package}.defs")).replace(".", "/")
    return next((folder for folder in (root / "src" / below, root / below) if folder.is_dir()), root / below)


def _dg_settings(folder: Path) -> Mapping[str, Any] | None:
    """What a project says to ``dg``; None where it says nothing."""
    for name, path in (("dg.toml", ()), ("pyproject.toml", ("tool", "dg"))):
        try:
            found: Any = tomllib.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise SettingsError(f"{folder / name} can't be read: {error}") from error
        for key in path:
            found = found.get(key, {})
        if found:
            return dict(found)
    return None


def _files(folder: Path) -> Iterator[Path]:
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        if DECLARATION in files:
            yield Path(where, DECLARATION)


def _declared_in(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"{file} can't be read as YAML: {error}") from error
    for document in documents:
        if isinstance(document, dict) and document.get("type") == COMPONENT:
            attributes = document.get("attributes") or {}
            if not isinstance(attributes, dict):
                raise SettingsError(f"{file}: attributes must be a mapping of settings to values.")
            yield attributes


class _Environment:
    """``env`` of a template, as Dagster has it: ``env.NAME`` and ``env("NAME", "default")``."""

    def __call__(self, name: str, default: str | None = None) -> str:
        value = os.environ.get(name, default)
        if value is None:
            raise SettingsError(f"The environment variable {name} isn't set.")
        return value

    def __getitem__(self, name: str) -> str:  # not __getattr__, by which Jinja asks a function for its own marks too
        return self(name)


def _resolved(value: Any, root: Path) -> Any:
    """A value of YAML with its templates filled in."""
    if isinstance(value, Mapping):
        return {key: _resolved(inner, root) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, root) for inner in value]
    if not isinstance(value, str) or "{{" not in value:
        return value
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.nativetypes import NativeEnvironment

    scope = {"env": _Environment(), "context": {"project_root": str(root)}}
    try:
        return NativeEnvironment(undefined=StrictUndefined).from_string(value).render(scope)
    except TemplateError as error:
        raise SettingsError(
            f"{value!r} can't be filled in: {error}. The commands know env and context.project_root; Dagster alone "
            "knows the rest."
        ) from error
