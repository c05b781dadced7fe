"""Which videos a run takes, what each lacks, and why."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from clip_assets.core.cores import available_cores
from clip_assets.core.errors import LibraryError
from clip_assets.core.file_systems import is_url
from clip_assets.core.library.named import Named, registered_keys
from clip_assets.core.library.signatures import written_at_ns
from clip_assets.core.library.source import VideoSource
from clip_assets.orchestration.instance import all_keys, failures, keys_at, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.results.states import video_states
from clip_assets.results.video_status import State, VideoStatus
from clip_assets.settings import LibrarySettings


@dataclass(frozen=True)
class Asked:
    """What a run was asked for.

    Attributes:
        named: Videos and folders; the whole library where there are none.
        under: Videos elsewhere aren't taken.
        states: The states in which a video is taken; where there are none, whatever isn't done, save what would fail
            as it did before, unless it is named on its own.
    """

    named: Sequence[Named] = ()
    under: Named | None = None
    states: Collection[State] = ()


@dataclass(frozen=True)
class Task:
    """A video that a run takes.

    Attributes:
        key: Its partition key.
        assets: What is to be computed of it, in order.
        state: It is in.
        reason: For that, if there is one.
        is_alone: Whether no other video may share its run, as after one that failed for a reason nobody knows.
    """

    key: str
    assets: tuple[str, ...]
    state: State
    reason: str
    is_alone: bool = False


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        tasks: The videos that are taken, in order.
        new: Videos that aren't registered yet, in order: of these, and of those of which everything is there.
        gone: Videos that were asked for and whose file isn't there.
        as_before: Videos that failed and aren't taken, for nothing has changed since.
        done: Number of videos of which everything is there.
    """

    tasks: Sequence[Task]
    new: Sequence[str]
    gone: Sequence[str]
    as_before: Sequence[VideoStatus]
    done: int


def make_plan(instance: dg.DagsterInstance, settings: LibrarySettings, asked: Asked) -> Plan:
    """Compare what is asked for with what is stored.

    Raises:
        ClipAssetsError: What is asked for isn't there, or the settings don't allow it.
    """
    names = LibraryNames.of(settings)
    order = registered(instance, names)
    keys, alone = _asked_keys(settings.source, asked, order)
    tasks, gone, as_before, done, known = [], [], [], [], set(order)
    for status in video_states(settings, keys, failures(instance, names), processes=available_cores()):
        is_chosen = status.state in asked.states if asked.states else status.is_wanted or status.key in alone
        if status.state == "gone":
            gone.append(status.key)
        elif status.state == "done":
            done.append(status.key)
        elif is_chosen:
            tasks.append(Task(status.key, lacking(status), status.state, status.reason))
        elif status.state == "failed":
            as_before.append(status)
    new = {*(task.key for task in tasks), *(() if asked.states else done)} - known
    return Plan(tasks, [key for key in keys if key in new], gone, as_before, len(done))


def lacking(status: VideoStatus) -> tuple[str, ...]:
    """The assets of a video that aren't done, in order."""
    return tuple(asset for asset, state in status.assets.items() if state.state != "done")


def is_being_written(source: VideoSource, key: str, seconds: float) -> bool:
    """Whether a video's file was written to in the last seconds, as one that is being copied is.

    A copy that keeps the time of modification can't deceive: when that was set counts too. The sensor, which looks time
    and again, goes by `core.library.changes.settled_videos`.
    """
    signature = source.signatures([key])[key]
    if signature is None:
        return False  # which its run will say
    return 0 <= time.time() - written_at_ns(signature) / 1e9 < seconds


def _asked_keys(source: VideoSource, asked: Asked, order: Sequence[str]) -> tuple[list[str], set[str]]:
    """The partition keys that are asked for, and which of them were named each on its own."""
    found = [_keys(source, named, order) for named in asked.named]
    keys = [key for several in found for key in several] if asked.named else [*all_keys(source), *order]
    alone = {several[0] for several in found if len(several) == 1}
    if asked.under is not None:
        below = set(_keys(source, asked.under, order))
        keys = [key for key in keys if key in below]
    return list(dict.fromkeys(keys)), alone


def _keys(source: VideoSource, named: Named, order: Sequence[str]) -> list[str]:
    """The keys that are meant: a registered one, the videos at a path, or else all of that name or below that folder.

    Raises:
        LibraryError: Nothing of that name is there, or no video in it.
        ClipAssetsError: As `VideoSource.key_for`, and for a file that is no video.
    """
    if named.text in order:
        return [named.text]
    if is_url(named.text):
        return keys_at(source, named.text)
    for path in (named.path, Path(source.where(named.text))):
        if source.is_local and path.exists():
            return keys_at(source, path)
    there = [video.key for video in source.listing().videos]
    keys = registered_keys(source, named, list(dict.fromkeys([*there, *order])))
    if not keys:
        raise LibraryError(
            f"{named.text}: no such video or folder, neither at {named.path} nor in the library {source.where()}."
        )
    return keys
