"""A library as a component of Dagster: a few lines of YAML in a project of the user's own."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Self

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, create_model

from clip_assets.libraries import library_name
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.settings import LibrarySettings


class _Start(BaseModel):
    """What `dg scaffold defs` asks for."""

    videos: str = Field(default="videos", description="The folder that holds the videos.")
    model_name: str = Field(default="ViT-B/32", description="CLIP model.")


class _LibraryScaffolder(dg.Scaffolder[_Start]):
    """Writes a declaration that works once the folder is there."""

    @classmethod
    def get_scaffold_params(cls) -> type[_Start]:
        """Options of the command."""
        return _Start

    def scaffold(self, request: dg.ScaffoldRequest[_Start]) -> None:
        """Write ``defs.yaml``."""
        dg.scaffold_component(request, (request.params or _Start()).model_dump())


@dg.scaffold_with(_LibraryScaffolder)
@dataclass(frozen=True)
class ClipLibraryComponent(dg.Component):
    """A folder of videos and their CLIP features: one partition per video.

    The attributes are the settings of the README in lower case and without ``CLIP_ASSETS_``. Relative paths are
    relative to the project; the name, where none is given, is that of the declaration's folder.
    """

    settings: LibrarySettings

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """What the YAML may say; a template may stand for any value."""
        return _attributes_model()

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """The component that a declaration describes.

        Raises:
            SettingsError: A value isn't allowed.
        """
        written = attributes.model_dump(exclude_unset=True) if attributes else {}
        scope = {"context": {"project_root": str(context.project_root)}}
        resolution = context.resolution_context.with_scope(**scope).at_path("attributes")
        given: dict[str, Any] = dict(resolution.resolve_value(written))
        given["name"] = library_name(given, context.path)
        return cls(LibrarySettings.checked(context.project_root, **given))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The library's assets, checks, jobs, sensors and resources, under names of its own."""
        return build_definitions(self.settings)


@functools.cache
def _attributes_model() -> type[BaseModel]:
    """The settings' fields, each also as a template; what they allow is checked once templates are filled in."""
    fields: dict[str, Any] = {
        name: (Any, Field(default=None, description=field.description))
        for name, field in LibrarySettings.model_fields.items()
    }
    return create_model("ClipLibraryAttributes", __config__=ConfigDict(extra="forbid"), **fields)
