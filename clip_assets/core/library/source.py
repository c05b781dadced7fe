"""Where videos lie: what the rest asks of it, whatever it is."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from clip_assets.core.library.folder import Folder
from clip_assets.core.library.listing import Listing
from clip_assets.core.records import SourceStat


class VideoSource(Protocol):
    """Videos by partition key, which are read and never written. May be used by several threads.

    Cheap are all methods but two: `listing` goes through everything, and `path` may have to fetch a video first.
    """

    def where(self, key: str = "") -> str:
        """Where a video of that key is or would be, as people write it; by default, where all of them are."""
        ...

    def listing(self, named: Collection[str] = ()) -> Listing:
        """What there is.

        Args:
            named: Keys of files that are videos whatever their ending.

        Raises:
            LibraryUnreadableError: Nothing can be told of it, which is something else than that it is empty.
        """
        ...

    def check_listable(self) -> None:
        """Refuse a source about whose videos nothing can be told.

        Raises:
            LibraryUnreadableError: As `listing`.
        """
        ...

    def key_for(self, path: Path) -> str:
        """The partition key of the video at a path that a person wrote, where there needn't be one.

        Raises:
            OutsideLibraryError: A video there is none of the source's.
            PartitionKeyError: Its name can't be a key.
        """
        ...

    def path(self, key: str) -> Path:
        """The video as a local file, to be read at once. That there is one isn't promised: whoever reads it finds out.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoUnreadableError: The video can't be fetched.
        """
        ...

    def fingerprint(self, key: str) -> str:
        """What tells a video's content apart, wherever it lies: see `core.library.fingerprints`.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoUnreadableError: The video is missing or can't be read.
        """
        ...

    def stat(self, key: str) -> SourceStat:
        """A video's size and time of modification: as long as both stay, its content counts as the same.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoUnreadableError: There is no such video, or nothing can be told of it.
        """
        ...

    def signature(self, key: str) -> tuple[int, int, int] | None:
        """What another video of that key, or a change of its content or rights, would alter; None where none is had.

        Returns:
            Size in bytes, time of the last modification and of the last change of rights or place, in nanoseconds.
        """
        ...

    def is_gone(self, key: str) -> bool:
        """Whether there is no video of that key: False where that can't be told."""
        ...


def source_at(location: str | Path) -> VideoSource:
    """The source that a setting names; the one place that knows which kinds there are.

    It is asked for anew wherever videos are needed: cheap, and without looking whether anything is there.
    """
    return Folder(Path(location))
