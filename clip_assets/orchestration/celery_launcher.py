"""Runs on the workers of a Celery fleet: what sends them there, and what a worker does with one.

An instance names its launcher in its ``dagster.yaml``: `deploy/celery` has one. Needs the extra ``celery``.
"""

import logging
import os
import platform
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import dagster as dg

from clip_assets.core.errors import SettingsError
from clip_assets.orchestration.dagster_launching import (
    CheckRunHealthResult,
    LaunchRunContext,
    execution_arguments,
    needs_extra,
    run_of_arguments,
)
from clip_assets.orchestration.run_launcher import health
from clip_assets.orchestration.run_liveness import Pulse

with needs_extra("celery"):
    from celery import signals
    from dagster_celery.config import TASK_EXECUTE_JOB_NAME
    from dagster_celery.launcher import CeleryRunLauncher
    from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
    from dagster_celery.tasks import create_execute_job_task
    from redis.exceptions import AuthenticationError

logger = logging.getLogger(__name__)

_ARGUMENTS = "execute_job_args_packed"

_FLEET = {
    "worker_concurrency": 1,  # a process has one model on its devices
    "worker_disable_prefetch": True,  # else a run waits behind a worker that is busy, beside one that is free
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_redirect_stdouts_level": "INFO",
    "task_ignore_result": True,  # the instance knows what came of a run; who listens for results gives up after 20 s
}
"""Settings of Celery's, unless ``config_source`` has others."""


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """Dagster's launcher for Celery, which besides ends runs whose worker is gone, and sends no secrets."""

    def __init__(self, config_source: dict[str, Any] | None = None, **told: Any) -> None:
        super().__init__(config_source={**_FLEET, **(config_source or {})}, **told)
        self._task = create_execute_job_task(self.celery)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Queue the run for whichever worker is free; the message names the run and where its code is."""
        signature = self._task.si(**{_ARGUMENTS: execution_arguments(context.dagster_run)})
        self._launch_celery_task_run(context.dagster_run, signature, TASK_EXECUTE_JOB_NAME)

    def terminate(self, run_id: str) -> bool:
        """Ask a run to end, which it does at its next video; the worker and its model stay."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if task := run.tags.get(DAGSTER_CELERY_TASK_ID_TAG):
            self.celery.AsyncResult(task).revoke()  # where no worker has taken it yet
        return True

    @property
    def supports_resume_run(self) -> bool:
        """Whether a run goes on in another process: what it left is asked for in a new one."""
        return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives, of which Celery knows nothing."""
        return health(self._instance, run)

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Nothing: Celery keeps no results."""
        return None

    def serve(self) -> None:
        """Take runs from the queue until the process is told to end.

        Raises:
            SettingsError: The broker refuses the password; one that isn't there is waited for.
        """
        connection = self.celery.connection_for_read()
        try:
            connection.connect()
        except AuthenticationError as error:
            told = f"{connection.as_uri()}, the broker that dagster.yaml names, refuses the password: {error}"
            raise SettingsError(f"{told} Give the one that it has.") from error
        except connection.connection_errors as error:
            logger.warning("Waits for the broker %s, which dagster.yaml names: %s", connection.as_uri(), error)
        finally:
            connection.release()
        signals.worker_process_init.connect(_leave_interrupts_to_the_worker)
        signals.task_prerun.connect(_begin)
        signals.task_postrun.connect(_end)
        name = f"{os.getpid()}@{platform.node()}"
        self.celery.worker_main(["worker", f"--hostname={name}", "--loglevel=INFO"])


_at_work: dict[str, ExitStack] = {}
"""By task what keeps the pulse of its run, from before the run starts until after it has ended."""


def _leave_interrupts_to_the_worker(**_: object) -> None:
    """A terminal's Ctrl-C reaches all of its processes, and the run at hand is to be finished."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _begin(task_id: str, kwargs: Mapping[str, Any], **_: object) -> None:
    if _ARGUMENTS not in kwargs:
        return
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.get())
        stack.callback(Pulse.of(instance, run_of_arguments(kwargs[_ARGUMENTS])).stop)
        _at_work[task_id] = stack.pop_all()


def _end(task_id: str, **_: object) -> None:
    if stack := _at_work.pop(task_id, None):
        stack.close()
