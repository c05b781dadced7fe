"""The run launcher under the name that each instance's ``dagster.yaml`` holds: it stays, wherever the code goes."""

from clip_assets.orchestration.run_liveness import WatchedRunLauncher

__all__ = ["WatchedRunLauncher"]
