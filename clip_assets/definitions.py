"""What Dagster loads: the platform with the settings of the environment."""

from clip_assets.orchestration.definitions import build_definitions
from clip_assets.settings import Settings

defs = build_definitions(Settings.from_environment())
