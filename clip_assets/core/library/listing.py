"""What a look at the videos of a source finds, and which files count as videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clip_assets.core.library.signatures import Signature
from clip_assets.core.records import SourceStat

VIDEO_EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v", ".mj2"),
    *(".mkv", ".mk3d", ".webm", ".avi", ".divx", ".wmv", ".asf", ".flv", ".ogv", ".ogm"),
    *(".mpg", ".mpeg", ".mpe", ".vob", ".m2p", ".ts", ".m2ts", ".mts", ".m2t"),
    *(".mxf", ".dv", ".nut", ".rm", ".rmvb", ".y4m", ".ivf", ".gif"),
    *(".m1v", ".m2v", ".mpv", ".264", ".h264", ".avc", ".265", ".h265", ".hevc", ".obu"),
)
"""Extensions of the files that a library lists, in lower case; any case is accepted. The last row's are streams
without a container."""

_NAMED_ENDINGS = 8


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A video of the library.

    Attributes:
        key: Its partition key.
        size: Bytes.
        mtime_ns: Time of the last modification, nanoseconds since 1970; 0 where ``etag`` is told.
        etag: What an object store calls this content, if it does.
        ctime_ns: Time of the last change of rights or place, nanoseconds since 1970; None where nobody can tell.
    """

    key: str
    size: int
    mtime_ns: int
    etag: str = ""
    ctime_ns: int | None = None

    @property
    def stat(self) -> SourceStat:
        """As it is noted beside what is made of it."""
        return SourceStat(self.size, self.mtime_ns, self.etag)

    @property
    def signature(self) -> Signature:
        """As `VideoSource.signatures` gives it."""
        return self.size, self.mtime_ns, self.etag if self.ctime_ns is None else self.ctime_ns


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Something of the library that couldn't be listed, so that nothing is known of it or of what lies below it.

    Attributes:
        key: Its path relative to the root, with forward slashes; may hold what no partition key may.
        reason: Why, for a person.
    """

    key: str
    reason: str


@dataclass(frozen=True)
class Listing:
    """What a walk through the library found.

    Attributes:
        videos: Sorted by key.
        unlisted: Sorted by key. A key that is missing from ``videos`` is gone only if neither it nor a folder above it
            is here.
        others: Number of files that were left out for their ending, by that ending in lower case, the most frequent
            first; "" stands for none.
    """

    videos: tuple[VideoFile, ...]
    unlisted: tuple[Unlisted, ...]
    others: Mapping[str, int] = field(default_factory=dict)


def has_video_extension(name: str) -> bool:
    """Whether a file's name ends as a video's does."""
    return name.lower().endswith(VIDEO_EXTENSIONS)


def others_in_words(others: Mapping[str, int]) -> str:
    """One line on the files that were left out for their ending (``Listing.others``); empty if there are none."""
    count = sum(others.values())
    if not count:
        return ""
    told = [f"{ending or 'none'} {number}" for ending, number in list(others.items())[:_NAMED_ENDINGS]]
    rest = [f"and {len(others) - len(told)} other endings"] if len(others) > len(told) else []
    return f"{count} {'file' if count == 1 else 'files'} left out for {'its' if count == 1 else 'their'} ending: " + (
        ", ".join(told + rest)
    )
