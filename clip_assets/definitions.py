"""What Dagster loads: the library that the environment describes, and those that files of the project declare."""

from pathlib import Path

import dagster as dg

from clip_assets.libraries import declared_libraries
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.settings import Settings

_declared = [declaration.settings() for declaration in declared_libraries(Path.cwd()).values()]

defs = dg.Definitions.merge(
    *map(build_definitions, [Settings.from_environment(), *_declared]),
    dg.Definitions(executor=dg.in_process_executor),  # a run that is no job's keeps the model in one process too
)
