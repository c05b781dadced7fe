"""Uses of Dagster's private API: what it gives that the public one doesn't, and what becomes of us without it.

That of launchers is in ``dagster_launching.py``, that of storage in ``dagster_storage.py``. The lowest and the highest
version that setup.cfg allows are both tested (``dagster_bounds`` in .ci/run).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData as _Checked,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager
from dagster_shared.check import CheckError

from clip_assets.core.errors import SettingsError

if TYPE_CHECKING:  # what is of databases takes half a second, and not every process asks one
    from dagster._core.storage.event_log import SqliteEventLogStorage
    from sqlalchemy import Connection, Engine

__all__ = [
    "AssetJob",
    "add_partition_metadata",
    "close_connections",
    "free_pools",
    "keep_connections",
    "limit_pool",
    "log_evaluations",
    "provenance_tags",
    "quiet_instance",
    "refused_configuration",
]

# Dagster's names of the tags that say what a materialization was made from.
_DATA_VERSION = "dagster/data_version"
_IS_OURS = "dagster/data_version_is_user_provided"
_CODE_VERSION = "dagster/code_version"
_INPUT_VERSION = "dagster/input_data_version/"
_INPUT_EVENT = "dagster/input_event_pointer/"
_NO_EVENT = "NULL"
_NO_VERSION = "INITIAL"

_ASKED_TOGETHER = 100
"""Materializations that a query reads: each comes with its pictures, and Dagster gives at most 1,000."""

_POOL = {"statement_timeout": 0, "pool_recycle": 180, "max_overflow": 10}
"""Of a database server: ms of a statement, without a limit; seconds that a connection is used, since what lies between
drops those that are idle for longer; and how many are opened at most beside the one that is kept, by other threads."""

_SQLITE_SECONDS = 30
"""To wait for another process that writes, as Dagster does."""

_ADVICE: dict[str | None, str] = {
    "dagster_postgres": "Install it with: pip install 'clip_assets[postgres]'",
    "psycopg": "Name the one that is, below postgres_db: scheme: postgresql+psycopg2",
}
"""What to do where a module is missing that ``dagster.yaml`` asks for."""

_kept: WeakKeyDictionary[dg.DagsterInstance, tuple[Engine, Engine]] = WeakKeyDictionary()
"""By instance what its connections come from."""


def add_partition_metadata(context: dg.OutputContext, partition_key: str, metadata: Mapping[str, Any]) -> None:
    """What the public `AssetExecutionContext.add_asset_metadata` does, and what is called where this can't be done.

    That one checks that the partition is one of the run's, for which it reads all partition keys from the database:
    30 ms of CPU for each video where there are 10,000.
    """
    step = context.step_context
    try:
        step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(
            asset_key=context.asset_key, partition_key=partition_key, metadata=metadata
        )
    except AttributeError:
        dg.AssetExecutionContext.get().add_asset_metadata(metadata, context.asset_key, partition_key)


def provenance_tags(context: dg.OutputContext, data_version: str) -> dict[str, str]:
    """The tags by which Dagster tells what is stale, as it gives them to the materializations of an output itself.

    Publicly only the data version is known. With it alone Dagster goes by the times of materializations.

    Args:
        context: The output's.
        data_version: Of what was materialized.
    """
    tags = {_DATA_VERSION: data_version, _IS_OURS: "true"}
    step = context.step_context
    try:
        node = step.job_def.asset_layer.get(context.asset_key)
        inputs = {key: step.maybe_fetch_and_get_input_asset_version_info(key) for key in node.parent_keys}
    except AttributeError:
        return tags
    tags[_CODE_VERSION] = node.code_version or context.run_id
    for key, made_from in inputs.items():
        name, version = key.to_user_string(), made_from and made_from.data_version
        tags[_INPUT_VERSION + name] = version.value if version else _NO_VERSION
        tags[_INPUT_EVENT + name] = str(made_from.storage_id) if made_from else _NO_EVENT
    return tags


def log_evaluations(context: dg.AssetCheckExecutionContext, results: Mapping[str, dg.AssetCheckResult]) -> None:
    """Record what a check came to for each partition of a run that has several: it can return but one result.

    The signature of `log_event` doesn't say that it takes evaluations. Dagster counts one only if it names the
    materialization that was checked.

    Args:
        context: The check's.
        results: By partition key.
    """
    (check,) = context.op_execution_context.selected_asset_check_keys
    checked = _last_materializations(context.instance, check.asset_key, list(results))
    for key, result in results.items():
        evaluation = dg.AssetCheckEvaluation(
            check.asset_key,
            check.name,
            result.passed,
            result.metadata,
            target_materialization_data=checked.get(key),
            description=result.description,
            partition=key,
        )
        context.op_execution_context.log_event(evaluation)  # type: ignore[arg-type]


def _last_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]
) -> dict[str, _Checked]:
    """By partition key which materialization is the last one; none for a partition that has none.

    The newest events of some partitions are mostly one of each, so a query finds them together. Whatever it leaves out,
    since others were materialized more than once since, is asked for by itself.
    """
    found: dict[str, _Checked] = {}
    for start in range(0, len(keys), _ASKED_TOGETHER):
        found |= _newest(instance, asset, keys[start : start + _ASKED_TOGETHER])
    for key in keys:
        if key not in found:
            found |= _newest(instance, asset, [key])
    return found


def _newest(instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Sequence[str]) -> dict[str, _Checked]:
    """The last materialization of each of these partitions that is among their newest events, one for each of them."""
    asked = dg.AssetRecordsFilter(asset, asset_partitions=keys)
    records = instance.fetch_materializations(asked, limit=len(keys)).records
    return {
        str(record.partition_key): _Checked(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in reversed(records)  # newest first, and the newest of each partition counts
    }


def quiet_instance() -> dg.DagsterInstance:
    """The instance that ``DAGSTER_HOME`` names, where it doesn't capture what this process writes to its terminal.

    Publicly that is the instance's setting alone. The capture starts four processes for each step, and takes the
    terminal from whoever executes runs in it.

    Raises:
        SettingsError: Its ``dagster.yaml`` asks for a package that isn't installed, or its database can't be reached.
    """
    from sqlalchemy.exc import OperationalError

    home = os.environ["DAGSTER_HOME"]
    settings = Path(home) / "dagster.yaml"
    quiet = {"compute_logs": {"module": NoOpComputeLogManager.__module__, "class": NoOpComputeLogManager.__name__}}
    try:
        return dg.DagsterInstance.from_ref(InstanceRef.from_dir(home, overrides=quiet))
    except AttributeError:
        return dg.DagsterInstance.get()
    except (ModuleNotFoundError, CheckError) as error:
        missing = error if isinstance(error, ModuleNotFoundError) else error.__context__
        if not isinstance(missing, ModuleNotFoundError):
            raise
        raise SettingsError(
            f"{settings} asks for the module {missing.name}, which isn't installed. {_ADVICE.get(missing.name, '')}"
        ) from error
    except dg.DagsterInvalidConfigError as error:
        raise refused_configuration(settings, error) from error
    except Exception as error:
        lost = error if isinstance(error, OperationalError) else error.__cause__
        if not isinstance(lost, OperationalError):
            raise
        why = str(lost.orig).splitlines()[0]
        raise SettingsError(f"The database of {settings} can't be reached: {why}") from error


def refused_configuration(file: Path, error: dg.DagsterInvalidConfigError) -> SettingsError:
    """What Dagster has against a file of configuration, in words; it tells of a variable that isn't set by a trace."""
    told = [one.message for one in error.errors]
    unset = sorted({name for text in told for name in re.findall(r'variable "(\w+)" which is not set', text)})
    if unset:
        names = ", ".join(unset)
        return SettingsError(f"{file} needs {names}, which isn't set. Add it to the environment, or to .env.")
    return SettingsError(f"{file} can't be used: {'; '.join(told)}")


def limit_pool(instance: dg.DagsterInstance, pool: str) -> None:
    """Let one step at a time into a pool, unless it has a limit; publicly that is a command, and a page of the UI.

    A limit is also the one that ``dagster.yaml`` gives every pool that has none of its own.
    """
    storage = instance.event_log_storage
    if instance.get_concurrency_config().pool_config.default_pool_limit is not None:
        return
    if storage.supports_global_concurrency_limits and pool not in storage.get_concurrency_keys():
        storage.set_concurrency_slots(pool, 1)


def free_pools(instance: dg.DagsterInstance, run_id: str) -> None:
    """Give back what a run that has ended holds of any pool, as Dagster's daemon does where one is at work."""
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def keep_connections(instance: dg.DagsterInstance) -> None:
    """Let an instance keep connections to its databases open: else it opens one for each question, 50 to 90 a video.

    Publicly only the webserver does, and with SQLite not even that one. It is for processes that do much with one
    instance and end, and with them the connections, unless `close_connections` did before. Safe with several threads.
    """
    from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
    from dagster._core.storage.runs import SqliteRunStorage, SqlRunStorage

    events, runs = instance.event_log_storage, instance.run_storage
    if instance in _kept or not isinstance(events, SqlEventLogStorage) or not isinstance(runs, SqlRunStorage):
        return
    instance.optimize_for_webserver(**_POOL)
    events.has_table = _remembered(events.has_table)  # type: ignore[method-assign, assignment]  # asked at each event
    if isinstance(events, SqliteEventLogStorage):
        shards = _Shards(events)
        events.run_connection = shards.run_connection  # type: ignore[method-assign]
        events.index_connection = shards.index_connection  # type: ignore[method-assign]
        events_engine = shards.index
    else:
        events_engine = _checked(events.index_connection())
    if isinstance(runs, SqliteRunStorage):
        runs_engine = _pooled(runs.connect())
        runs.connect = runs_engine.begin  # type: ignore[method-assign]
    else:
        runs_engine = _checked(runs.connect())
    _kept[instance] = (events_engine, runs_engine)


def close_connections(instance: dg.DagsterInstance) -> None:
    """Close what `keep_connections` keeps open; whatever is asked of the instance afterwards opens them again."""
    for engine in _kept.get(instance, ()):
        engine.dispose()


class _Shards:
    """Connections to SQLite's databases of events: one of all runs, which stays open, and one of each run.

    That of a run is closed after each use, since its file changes then, by which the UI sees that there is news. Of the
    last run the engine stays, which knows the statements.
    """

    def __init__(self, storage: SqliteEventLogStorage) -> None:
        self._new = storage.run_connection  # makes the database where there is none
        self._lock = Lock()  # as Dagster's own: one at a time
        self._run_id: str | None = None
        self._run = self.index = _pooled(storage.index_connection())

    @contextmanager
    def index_connection(self) -> Iterator[Connection]:
        with self._lock, self.index.begin() as connection:
            yield connection

    @contextmanager
    def run_connection(self, run_id: str | None = None) -> Iterator[Connection]:
        with self._lock:
            if run_id != self._run_id:
                self._run, self._run_id = _engine(self._new(run_id)), run_id
            with self._run.begin() as connection:
                yield connection


def _engine(opened: AbstractContextManager[Connection]) -> Engine:
    with opened as connection:
        return connection.engine


def _pooled(opened: AbstractContextManager[Connection]) -> Engine:
    """An engine for the database of a connection of SQLite, which keeps its own open."""
    from sqlalchemy import create_engine

    return create_engine(_engine(opened).url, connect_args={"timeout": _SQLITE_SECONDS})


def _checked(opened: AbstractContextManager[Connection]) -> Engine:
    """The engine of a connection to a server; what it kept is tried before it is used: the server may be a new one."""
    from sqlalchemy import event
    from sqlalchemy.exc import DisconnectionError

    engine = _engine(opened)

    @event.listens_for(engine, "checkout")
    def check(connection: Any, record: object, proxy: object) -> None:
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # another is opened in its place

    return engine


def _remembered(has_table: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether a database has a table, asked until it has."""
    known: set[str] = set()

    def remembered(table_name: str) -> bool:
        if table_name not in known and has_table(table_name):
            known.add(table_name)
        return table_name in known

    return remembered
