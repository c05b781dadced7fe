"""What changed in the library, and what to do about it: pure functions of what is listed and what is known."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from clip_assets.core.digests import digest
from clip_assets.core.library.listing import Listing, VideoFile

HELD_FROM = 10
"""Known videos from which on deletions may be held back; below, people empty folders on purpose."""

AGREEING_TICKS = 3
"""Looks at the library that must agree before deletions that were held back are carried out."""


BRIDGED = 16
"""Videos in a row that are done and that a run takes along to reach the next one. To recognise one takes 0.15 s of the
processor; a run of its own takes 3 s on a worker that has the model, and 9 s in a new process."""


@dataclass(frozen=True, slots=True)
class KnownVideo:
    """A video as it was when its results were asked for.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last modification, nanoseconds since 1970.
        fingerprint: See `core.library.fingerprints`.
        etag: See `core.library.listing.VideoFile`.
    """

    size: int
    mtime_ns: int
    fingerprint: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A new or changed video that may still be written to.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last modification, nanoseconds since 1970.
        since: When it was first seen with that size and time, seconds since 1970.
        etag: See `core.library.listing.VideoFile`.
    """

    size: int
    mtime_ns: int
    since: float
    etag: str = ""


@dataclass(frozen=True)
class Changes:
    """How the library differs from what is known of it; everything in order of keys.

    Attributes:
        new: Videos of which nothing is known.
        changed: Videos whose size, time of modification or ETag is another.
        removed: Keys of videos that are gone.
        busy: Keys of videos that are changed or gone, but that a run holds: to be looked at again later.
    """

    new: tuple[VideoFile, ...]
    changed: tuple[VideoFile, ...]
    removed: tuple[str, ...]
    busy: tuple[str, ...]


@dataclass(frozen=True)
class Hold:
    """Deletions that wait until later looks at the library agree.

    Attributes:
        removed: Digest of the keys that are gone.
        agreed: How many later looks found the same.
    """

    removed: str
    agreed: int = 0


def partition_changes(listed: Listing, known: Mapping[str, KnownVideo | None], in_flight: Container[str]) -> Changes:
    """Compare the library with what is known of it.

    Args:
        listed: The library as it is now. What lies at or below an unlisted path is neither new nor gone.
        known: Each partition key, with None for those whose video was never looked at.
        in_flight: Keys that a queued or running run holds.
    """
    present = {video.key: video for video in listed.videos}
    unlisted = {item.key for item in listed.unlisted}
    new = [video for video in listed.videos if known.get(video.key) is None]
    changed = [video for video in listed.videos if _differs(video, known.get(video.key))]
    removed = sorted(key for key in known if key not in present and not is_below(key, unlisted))
    touched = [*(video.key for video in (*new, *changed)), *removed]
    return Changes(
        new=tuple(video for video in new if video.key not in in_flight),
        changed=tuple(video for video in changed if video.key not in in_flight),
        removed=tuple(key for key in removed if key not in in_flight),
        busy=tuple(sorted(key for key in touched if key in in_flight)),
    )


def settled_videos(
    videos: Iterable[VideoFile], sightings: Mapping[str, Sighting], now: float, settle_seconds: float
) -> tuple[list[VideoFile], dict[str, Sighting]]:
    """The videos that nobody has written to for a while, and what was seen of all of them.

    A copy that keeps the time of modification, or a clock that is wrong, can't deceive: what counts is how long this
    machine has seen size and time unchanged. It takes two looks: whoever has one goes
    by the times of the file alone, as `is_being_written` does for a run in a terminal.

    Args:
        videos: New and changed ones.
        sightings: What earlier calls gave, by key.
        now: Seconds since 1970.
        settle_seconds: How long a video must have been unchanged.
    """
    settled = []
    seen: dict[str, Sighting] = {}
    for video in videos:
        before = sightings.get(video.key)
        unchanged = before is not None and _seen(before) == _seen(video)
        since = before.since if before is not None and unchanged else now
        seen[video.key] = Sighting(video.size, video.mtime_ns, since, video.etag)
        if now - since >= settle_seconds:
            settled.append(video)
    return settled, seen


def hold_back(listed: Listing, removed: Sequence[str], known: int, before: Hold | None) -> Hold | None:
    """What keeps deletions from being carried out now; None where nothing does.

    An empty library is an unmounted disk until proven otherwise: nothing is deleted. When more than half of
    ``HELD_FROM`` or more known videos are gone, the next ``AGREEING_TICKS`` looks must find the same.

    Args:
        listed: The library as it is now.
        removed: Keys of videos that are gone, in order.
        known: Number of known videos.
        before: What held deletions back at the last look.
    """
    if not removed or (listed.videos and (known < HELD_FROM or 2 * len(removed) <= known)):
        return None
    found = digest({"removed": list(removed)})
    hold = Hold(found, before.agreed + 1 if before and before.removed == found else 0)
    return None if listed.videos and hold.agreed >= AGREEING_TICKS else hold


def bridges(wanted: Container[str], order: Iterable[str]) -> list[str]:
    """The keys that lie between wanted ones that are near enough for `neighbour_batches` to share a batch."""
    found: list[str] = []
    gap: list[str] | None = None
    for key in order:
        if key in wanted:
            found += gap or ()
            gap = []
        elif gap is not None:
            gap = [*gap, key] if len(gap) < BRIDGED else None
    return found


def neighbour_batches(
    wanted: Container[str], order: Iterable[str], size: int, done: Container[str] = ()
) -> list[tuple[str, ...]]:
    """Wanted keys in batches, each a gapless stretch of an order: what lies between may be done.

    Args:
        wanted: The keys.
        order: All keys.
        size: How many wanted ones share a batch at most.
        done: Keys that a batch may have besides, at most `BRIDGED` between two wanted ones.
    """
    batches: list[list[str]] = []
    count = 0
    gap: list[str] | None = None
    for key in order:
        if key in wanted:
            if gap is not None and count < size:
                batches[-1] += [*gap, key]
                count += 1
            else:
                batches.append([key])
                count = 1
            gap = []
        elif gap is not None:
            gap = [*gap, key] if key in done and len(gap) < BRIDGED else None
    return [tuple(batch) for batch in batches]


def _differs(video: VideoFile, known: KnownVideo | None) -> bool:
    return known is not None and _seen(known) != _seen(video)


def _seen(video: VideoFile | KnownVideo | Sighting) -> tuple[int, int, str]:
    return video.size, video.mtime_ns, video.etag


def is_below(key: str, folders: Container[str]) -> bool:
    """Whether the key or a folder above it is among ``folders``."""
    parts = key.split("/")
    return any("/".join(parts[:end]) in folders for end in range(1, len(parts) + 1))
