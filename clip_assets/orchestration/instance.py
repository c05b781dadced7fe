"""The Dagster instance from the command line: registering videos, and which are registered."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from filelock import FileLock

from clip_assets.core.errors import LibraryError, SettingsError, VideoError
from clip_assets.core.file_systems import is_url
from clip_assets.core.library.listing import VIDEO_EXTENSIONS, has_video_extension, others_in_words
from clip_assets.core.library.regular_files import why_no_file
from clip_assets.core.library.source import VideoSource, source_at
from clip_assets.core.store import Store
from clip_assets.core.video import check_is_video
from clip_assets.orchestration.dagster_internals import (
    close_connections,
    free_pools,
    keep_connections,
    limit_pool,
    quiet_instance,
    refused_configuration,
)
from clip_assets.orchestration.dagster_storage import report_together
from clip_assets.orchestration.failures import failed_videos, reason
from clip_assets.orchestration.library_names import GPU_POOL, LibraryNames
from clip_assets.orchestration.partitions import KeysOfRuns, version_events
from clip_assets.orchestration.run_liveness import GONE, is_abandoned
from clip_assets.project import instance_folder
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.failure import Failure

if TYPE_CHECKING:
    from clip_assets.orchestration.celery_launcher import WatchedCeleryRunLauncher

logger = logging.getLogger(__name__)

_ON_THIS_MACHINE = {"DefaultRunLauncher", "WatchedRunLauncher"}
"""Launchers."""

_TOGETHER = 2500
"""Videos that are registered by one transaction: whoever is interrupted loses so many at most."""

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextmanager
def open_instance() -> Iterator[dg.DagsterInstance]:
    """The instance that ``DAGSTER_HOME`` names, opened by one process after another: the first makes its databases.

    Raises:
        SettingsError: As `instance_folder`.
    """
    with FileLock(instance_folder() / ".clip_assets_opening.lock"):
        opened = quiet_instance()
    with opened as instance:
        keep_connections(instance)
        try:
            yield instance
        finally:
            close_connections(instance)


def has_workers(instance: dg.DagsterInstance) -> bool:
    """Whether runs are launched for workers, as the instance's ``dagster.yaml`` says, and not on this machine alone."""
    launcher = instance.get_ref().run_launcher_data
    return launcher is not None and launcher.class_name not in _ON_THIS_MACHINE


def launcher_for_workers() -> "WatchedCeleryRunLauncher":
    """What queues runs for workers, as the instance's ``dagster.yaml`` says.

    Raises:
        SettingsError: It says otherwise, or what it names isn't set, or Celery isn't installed.
    """
    from clip_assets.orchestration.celery_launcher import WatchedCeleryRunLauncher

    with open_instance() as instance:
        try:
            launcher = instance.run_launcher
        except dg.DagsterInvalidConfigError as error:
            raise refused_configuration(instance_folder() / "dagster.yaml", error) from error
    if not isinstance(launcher, WatchedCeleryRunLauncher):
        raise SettingsError(
            f"{instance_folder() / 'dagster.yaml'} has runs launched by {type(launcher).__name__}, and a worker needs "
            "WatchedCeleryRunLauncher: see deploy/celery/README.md."
        )
    return launcher


def registered(instance: dg.DagsterInstance, names: LibraryNames) -> Sequence[str]:
    """The partition keys of a library, in order of registration."""
    return instance.get_dynamic_partitions(names("videos"))


def held_keys(instance: dg.DagsterInstance, names: LibraryNames, order: Sequence[str] | None = None) -> set[str]:
    """The partition keys of a library that a queued or running run holds; one whose process is gone holds none.

    Args:
        instance: Where the runs are.
        names: The library's.
        order: All keys in order of registration; None: they are read where they are needed.
    """
    unfinished = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    runs = [run for run in unfinished if names.may_touch(run) and not is_abandoned(instance, run)]
    if not runs:
        return set()
    keys_of = KeysOfRuns(registered(instance, names) if order is None else order)
    return {key for run in runs for key in keys_of(run.tags)}


def end_abandoned_runs(instance: dg.DagsterInstance) -> None:
    """Record that runs failed whose process is gone, as Dagster's daemon does where one is at work."""
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if is_abandoned(instance, run):
            instance.report_run_failed(run, GONE)
            free_pools(instance, run.run_id)


def limit_encoding(instance: dg.DagsterInstance) -> None:
    """Let one run at a time encode, unless a limit is set already."""
    limit_pool(instance, GPU_POOL)


def failures(instance: dg.DagsterInstance, names: LibraryNames) -> Mapping[str, Mapping[str, Failure]]:
    """By asset and partition key why the last run that was to materialize it failed; reads each such run once.

    Of a run with a configuration of its own it isn't told with what a video was tried: the next one may have another.
    Dagster is asked when somebody first looks, which has to be before the instance is closed: it takes seconds where
    there are very many videos, and of a video that is done nobody has to know.
    """
    return _Failures(instance, names)


@dataclass(frozen=True, eq=False)
class _Failures(Mapping[str, Mapping[str, Failure]]):
    instance: dg.DagsterInstance
    names: LibraryNames

    def __getitem__(self, asset: str) -> Mapping[str, Failure]:
        return self._found[asset]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    @cached_property
    def _found(self) -> dict[str, dict[str, Failure]]:
        return _find_failures(self.instance, self.names)


def _find_failures(instance: dg.DagsterInstance, names: LibraryNames) -> dict[str, dict[str, Failure]]:
    attempts = {
        asset: instance.event_log_storage.get_latest_asset_partition_materialization_attempts_without_materializations(
            names.key(asset)
        )
        for asset in PER_VIDEO
    }
    runs = map(instance.get_run_by_id, {run_id for latest in attempts.values() for run_id, _ in latest.values()})
    ended = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)  # a canceled one after something failed in it
    failed = {run.run_id: run for run in runs if run and run.status in ended}
    steps = {run_id: _step_failures(instance, run_id) for run_id in failed}
    found: dict[str, dict[str, Failure]] = {}
    for asset, latest in attempts.items():
        told = {
            key: _failure(key, steps[run_id], failed[run_id]) for key, (run_id, _) in latest.items() if run_id in steps
        }
        found[asset] = {key: failure for key, failure in told.items() if failure}
    return found


def _step_failures(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    logged = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return [entry.dagster_event for entry in logged if entry.dagster_event]


def _failure(key: str, steps: Sequence[dg.DagsterEvent], run: dg.DagsterRun) -> Failure | None:
    """Why a run failed for one of its partitions; None where only others of the run failed, or it was canceled."""
    blamed = failed_videos(steps)
    if blamed or run.status == dg.DagsterRunStatus.CANCELED:
        failure = blamed.get(key)
        return replace(failure, attempt=None) if failure and run.run_config.get("ops") else failure
    return Failure(key, reason(steps) or "the run's process died")


def register(instance: dg.DagsterInstance, names: LibraryNames, source: VideoSource, keys: Sequence[str]) -> None:
    """Make partitions of videos of the library, with their data versions; those that have one stay as they are.

    Args:
        instance: Where to.
        names: The library's.
        source: Its videos.
        keys: Their partition keys.
    """
    known = instance.get_materialized_partitions(names.videos).intersection(registered(instance, names))
    for start in range(0, len(keys), _TOGETHER):
        several = keys[start : start + _TOGETHER]
        versions = {}
        for key in several:
            if key not in known:
                with suppress(VideoError):  # which its run will say
                    versions[key] = source.fingerprint(key)
        report_versions(instance, names, versions)
        instance.add_dynamic_partitions(names("videos"), several)


def report_versions(instance: dg.DagsterInstance, names: LibraryNames, versions: Mapping[str, str]) -> None:
    """Tell Dagster the data versions of videos, by partition key."""
    events = [event for key, version in versions.items() for event in version_events(names.videos, key, version)]
    report_together(instance, events)


def forget(
    instance: dg.DagsterInstance, names: LibraryNames, store: Store, keys: Sequence[str], results: str
) -> Iterator[str]:
    """Make videos no partitions any more; yields each key when it is done.

    Args:
        instance: Where they are registered.
        names: The library's.
        store: Where their results are.
        keys: Their partition keys.
        results: ``keep`` what is stored of them, or move it to ``trash``.

    Raises:
        StoreError: Results can't be moved; their video stays registered.
    """
    for key in keys:
        if results == "trash":
            move_to_trash(store, key)
        instance.delete_dynamic_partition(names("videos"), key)
        yield key


def move_to_trash(store: Store, key: str) -> None:
    """Move all that is stored of a video to ``trash/``.

    Raises:
        StoreError: Something can't be moved.
    """
    for asset in PER_VIDEO:
        store.move_to_trash(asset, key)


def all_keys(source: VideoSource) -> list[str]:
    """The partition keys of all videos that a source lists; what it leaves out is logged.

    Raises:
        LibraryError: It can't be listed, or there is no video.
    """
    listing = source.listing()
    for unlisted in listing.unlisted:
        logger.warning("Left out %s: %s", source.where(unlisted.key), unlisted.reason)
    if left_out := others_in_words(listing.others):
        logger.warning("%s: %s", source.where(), left_out)
    if not listing.videos:
        raise LibraryError(f"No video in or below {source.where()}. Videos end in {_extensions()}.")
    return [video.key for video in listing.videos]


def keys_at(source: VideoSource, place: str | Path) -> list[str]:
    """The partition keys of the videos that a person named: a video, or a folder with videos in and below it.

    A file that is named with an ending that isn't listed is a video if its content is.

    Raises:
        LibraryError: The path is missing, no file, or a folder without videos.
        VideoError: A file whose ending isn't listed is no video by its content.
        PartitionKeyError: The path or URL isn't in the library, or can't be a key.
    """
    if isinstance(place, str) and is_url(place):
        return _keys_at_url(source, place.rstrip("/"))
    path = Path(place)
    if str(path.absolute()) == source.where():
        return all_keys(source)
    if path.is_dir():
        return [source.key_for(path / key) for key in all_keys(source_at(path.absolute()))]
    if reason := why_no_file(path):
        raise LibraryError(f"{path.absolute()}: {reason}. Name a video, or a folder with videos.")
    if not has_video_extension(path.name):
        check_is_video(path)
    return [source.key_for(path)]


def _keys_at_url(source: VideoSource, url: str) -> list[str]:
    if url == source.where():
        return all_keys(source)
    key = source.key_for(url)
    if source.is_gone(key):
        folder = source_at(url)
        return [source.key_for(folder.where(below)) for below in all_keys(folder)]
    if not has_video_extension(key):
        with source.local(key) as path:
            check_is_video(path)
    return [key]


def _extensions() -> str:
    return ", ".join(sorted(VIDEO_EXTENSIONS))
