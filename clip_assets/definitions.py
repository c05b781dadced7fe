"""What Dagster loads: the library that the environment describes, and those that files of the project declare."""

from pathlib import Path

import dagster as dg

from clip_assets.libraries import Declaration, declared_libraries
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.settings import LibrarySettings, Settings

_environment = Settings.from_environment()


def _declared(library: Declaration) -> LibrarySettings:
    """The settings of a library, whose pages are beside those of the environment's."""
    pages = _environment.browse_url
    if pages is None or "browse_url" in library.attributes:
        return library.settings()
    return library.settings(browse_url=f"{pages.rstrip('/')}/library/{library.name}")


defs = dg.Definitions.merge(
    build_definitions(_environment),
    *(build_definitions(_declared(library)) for library in declared_libraries(Path.cwd()).values()),
    dg.Definitions(executor=dg.in_process_executor),  # a run that is no job's keeps the model in one process too
)
