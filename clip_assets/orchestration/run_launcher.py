"""What begins a run in a process of its own, and tells Dagster's monitor whether that process lives.

An instance names its launcher in its ``dagster.yaml``; those that this package makes name this one, as
``clip_assets.liveness.WatchedRunLauncher``.
"""

import dagster as dg

from clip_assets.orchestration.dagster_launching import CheckRunHealthResult, WorkerStatus
from clip_assets.orchestration.run_liveness import GONE, is_abandoned


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher, which besides lets run monitoring end runs whose process is gone."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether Dagster's monitor may ask `check_run_worker_health`: it may."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives; a run that gives no sign is left alone."""
        return health(self._instance, run)


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> CheckRunHealthResult:
    """What a launcher tells Dagster's monitor: whether the run's process lives, as far as anything tells."""
    if is_abandoned(instance, run):
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, GONE)
    return CheckRunHealthResult(WorkerStatus.RUNNING)
