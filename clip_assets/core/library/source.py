"""Where videos lie: what the rest asks of it, whatever it is."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from clip_assets.core.file_systems import is_url
from clip_assets.core.library.folder import Folder
from clip_assets.core.library.listing import Listing
from clip_assets.core.library.remote_folder import RemoteFolder
from clip_assets.core.library.signatures import Signature
from clip_assets.core.library.video_cache import VideoCache
from clip_assets.core.records import SourceStat


class VideoSource(Protocol):
    """Videos by partition key, which are read and never written. May be used by several threads.

    Attributes:
        is_local: Whether its videos are files of this machine, so that looking at one costs nothing, and each look
            tells what is there. What isn't local is asked once where many steps belong together.
    """

    @property
    def is_local(self) -> bool: ...  # noqa: D102 - see above

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

    def key_for(self, path: str | Path) -> str:
        """The partition key of the video at a path or URL that a person wrote, where there needn't be one.

        Raises:
            OutsideLibraryError: A video there is none of the source's.
            PartitionKeyError: Its name can't be a key.
        """
        ...

    def local(self, key: str, seen: SourceStat | None = None) -> AbstractContextManager[Path]:
        """The video as a local file, for as long as the context lasts; it may have to be fetched first.

        That there is one isn't promised: whoever reads it finds out.

        Args:
            key: The partition key.
            seen: What `stat` said of it: whoever has to fetch it fetches nothing else.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoError: The video can't be fetched, or is another by now.
        """
        ...

    def expect(self, key: str, seen: SourceStat | None = None) -> None:
        """A hint that `local` will be asked for this next: fetching it may begin."""
        ...

    def fingerprint(self, key: str, seen: SourceStat | None = None, *, will_be_read: bool = False) -> str:
        """What tells a video's content apart, wherever it lies: see `core.library.fingerprints`.

        Args:
            key: The partition key.
            seen: As for `local`.
            will_be_read: Whether the whole video is about to be read, so that it may as well be fetched.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoError: The video is missing or can't be read.
        """
        ...

    def stat(self, key: str) -> SourceStat:
        """A video's size and time of modification or ETag: as long as these stay, its content counts as the same.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoError: There is no such video, or nothing can be told of it.
        """
        ...

    def signatures(self, keys: Collection[str]) -> dict[str, Signature | None]:
        """By key what another video, or a change of its content or rights, would alter; None where none is had."""
        ...

    def is_gone(self, key: str) -> bool:
        """Whether there is no video of that key: False where that can't be told."""
        ...

    def read(self, key: str, start: int, end: int) -> bytes:
        """A video's bytes from ``start`` to before ``end``.

        Raises:
            PartitionKeyError: The key can't be one.
            VideoError: The video is missing or can't be read.
        """
        ...


def source_at(location: str | Path, cache: VideoCache | None = None) -> VideoSource:
    """The source that a setting names; the one place that knows which kinds there are.

    It is asked for anew wherever videos are needed: cheap, and without looking whether anything is there.

    Args:
        location: A folder, or an fsspec URL.
        cache: Where copies of videos are kept that lie elsewhere; by default where the user's others are.
    """
    if is_url(str(location)):
        return RemoteFolder(str(location), cache or VideoCache())
    return Folder(Path(location))
