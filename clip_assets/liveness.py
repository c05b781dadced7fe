"""The launcher under the name by which the ``dagster.yaml`` of instances of before knows it."""

from clip_assets.orchestration.run_liveness import WatchedRunLauncher

__all__ = ["WatchedRunLauncher"]
