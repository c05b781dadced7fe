"""Nothing but a name that stays: instances name their run launcher by it, which is `orchestration/run_launcher.py`."""

from clip_assets.orchestration.run_launcher import WatchedRunLauncher

__all__ = ["WatchedRunLauncher"]
