"""The Dagster instance from the command line: registering videos, and what became of them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from clip_assets.core.errors import SettingsError
from clip_assets.core.library import is_video, key_for, list_videos
from clip_assets.partitions import videos_partitions


def open_instance() -> dg.DagsterInstance:
    """The instance that ``DAGSTER_HOME`` names.

    Raises:
        SettingsError: It isn't set, or no folder; partitions would be forgotten at once.
    """
    home = os.environ.get("DAGSTER_HOME")
    if not home or not Path(home).is_absolute() or not Path(home).is_dir():
        raise SettingsError(
            f"DAGSTER_HOME is {home!r}. It must be the absolute path of the folder where Dagster keeps what it knows, "
            'for instance: mkdir -p .dagster_home && export DAGSTER_HOME="$PWD/.dagster_home"'
        )
    return dg.DagsterInstance.get()


def register(instance: dg.DagsterInstance, root: Path, paths: Sequence[Path]) -> list[str]:
    """Make partitions of videos of the library; those that are registered already stay as they are.

    Args:
        instance: Where to.
        root: The library.
        paths: Videos, and folders with videos in and below them.

    Returns:
        The partition keys, in the order of ``paths``.

    Raises:
        LibraryError: A path isn't there, or holds no video.
        PartitionKeyError: A path isn't in the library, or can't be a key.
    """
    keys = [key_for(root, video) for path in paths for video in _videos(path)]
    instance.add_dynamic_partitions(str(videos_partitions.name), keys)
    return keys


def registered(instance: dg.DagsterInstance) -> Sequence[str]:
    """The partition keys, in order of registration."""
    return instance.get_dynamic_partitions(str(videos_partitions.name))


def _videos(path: Path) -> Iterator[Path]:
    """The video ``path``, or those below the folder ``path``."""
    if path.is_dir():
        yield from (entry.path for entry in list_videos(path))
    elif is_video(path):
        yield path
    else:
        raise SettingsError(f"{path} is ")
