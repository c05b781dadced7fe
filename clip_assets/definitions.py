"""What Dagster loads: the library that the environment describes."""

import dagster as dg

from clip_assets.orchestration.definitions import build_definitions
from clip_assets.settings import Settings

defs = dg.Definitions.merge(
    build_definitions(Settings.from_environment()),
    dg.Definitions(executor=dg.in_process_executor),  # a run that is no job's keeps the model in one process too
)
