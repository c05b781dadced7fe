"""Dagster's private API of launchers: what they are asked and answer, and what is sent to who executes a run.

All else that is private is in ``dagster_internals.py`` and ``dagster_storage.py``; the same versions are tested.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import pack_value, unpack_value

from clip_assets.core.errors import SettingsError

__all__ = [
    "CheckRunHealthResult",
    "LaunchRunContext",
    "WorkerStatus",
    "execution_arguments",
    "execution_command",
    "needs_extra",
    "run_of_arguments",
]


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Name the extra where a package of a launcher is missing: Dagster would only say that it can't import that."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"{error.name} isn't installed. Install it with: pip install 'clip_assets[{extra}]'"
        ) from error


def execution_arguments(run: dg.DagsterRun) -> dict[str, Any]:
    """What Dagster's launchers send to a process that is to execute a run there, without what the instance is made of.

    Whoever executes it has an instance of its own: the settings of the sender's may hold passwords.
    """
    return cast("dict[str, Any]", pack_value(_execution(run, set_exit_code_on_failure=True)))


def execution_command(run: dg.DagsterRun, *, set_exit_code_on_failure: bool | None) -> Sequence[str]:
    """The same as a command, which fails with the run if it is to."""
    return _execution(run, set_exit_code_on_failure=set_exit_code_on_failure).get_command_args()


def _execution(run: dg.DagsterRun, *, set_exit_code_on_failure: bool | None) -> ExecuteRunArgs:
    origin = run.job_code_origin
    if origin is None:
        raise dg.DagsterInvariantViolationError(f"Run {run.run_id} doesn't say where its code is.")
    return ExecuteRunArgs(origin, run.run_id, instance_ref=None, set_exit_code_on_failure=set_exit_code_on_failure)


def run_of_arguments(packed: Mapping[str, Any]) -> str:
    """The id of the run that `execution_arguments` are for."""
    return unpack_value(dict(packed), as_type=ExecuteRunArgs).run_id
