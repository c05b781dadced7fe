"""One look at the library: what the sensor `video_library` asks Dagster for, and what happened in words.

Nothing is remembered but by way of the cursor, which Dagster commits together with the requests. So a look that dies
half-way is repeated with the same outcome: observations and partitions are the same ones, and the same run keys let
Dagster submit each run once.
"""

import json
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import islice, takewhile
from pathlib import Path

import dagster as dg

from clip_assets.core.digests import digest
from clip_assets.core.errors import StoreError, VideoError
from clip_assets.core.library.changes import (
    AGREEING_TICKS,
    Hold,
    KnownVideo,
    bridges,
    hold_back,
    neighbour_batches,
    partition_changes,
    settled_videos,
)
from clip_assets.core.library.listing import Listing, VideoFile, others_in_words
from clip_assets.core.library.state import LibraryMemory, LibraryState
from clip_assets.core.store import Store
from clip_assets.orchestration.dagster_storage import InstancePages
from clip_assets.orchestration.instance import held_keys, move_to_trash, report_versions
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import partition_tags
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.states import video_states
from clip_assets.settings import LibrarySettings

REQUESTS_PER_TICK = 25
"""Runs that one tick requests at most: Dagster submits each on its own, in a few tenths of a second."""

VIDEOS_PER_TICK = 256
"""Videos that one tick asks for at most, unless a single run takes more: Dagster stores two events of each."""

DELETIONS_PER_TICK = 1000
"""Partitions that one tick deletes at most; Dagster deletes each on its own."""

READING_SECONDS = 10.0
"""Time in a tick after which no further file is read or moved; Dagster gives up on a tick after 60 seconds."""

NAMED = 5
"""Videos that a message names; of the others it gives the number."""


@dataclass(frozen=True)
class Cursor:
    """What the sensor hands from tick to tick.

    Attributes:
        state: Name of the `LibraryState`.
        hold: What keeps deletions from being carried out.
        filled: Whether all partitions of `video` have a data version that the UI counts, as those of before don't.
    """

    state: str = ""
    hold: Hold | None = None
    filled: bool = False

    def to_json(self) -> str:
        """As Dagster keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "Cursor":
        """What `to_json` gave; a fresh one for a sensor that was never evaluated."""
        content = json.loads(text or "{}")
        hold = content.get("hold")
        return cls(content.get("state", ""), Hold(**hold) if hold else None, content.get("filled", False))


@dataclass(frozen=True)
class Decision:
    """What a look at the library comes to.

    Attributes:
        cursor: For the next look.
        requested: Videos whose results are asked for, by key.
        batches: Their keys; those of a batch share a run.
        new: Keys to register, in order.
        removed: Keys to delete.
        unfilled: Fingerprints of videos that nothing is asked for, but whose data version is to be reported, by key.
        message: What happened, in words.
        names: The library's.
    """

    cursor: Cursor
    requested: Mapping[str, KnownVideo]
    batches: Sequence[Sequence[str]]
    new: Sequence[str]
    removed: Sequence[str]
    unfilled: Mapping[str, str]
    message: str
    names: LibraryNames

    def report(self, instance: dg.DagsterInstance) -> None:
        """Tell Dagster the data versions, before the answer: a run so finds the one that it was asked for.

        The answer could hold them too, but the daemon would record them one by one.
        """
        requested = {key: video.fingerprint for key, video in self.requested.items()}
        report_versions(instance, self.names, {**self.unfilled, **requested})

    def to_dagster(self, before: str | None) -> dg.SensorResult:
        """The answer of the sensor whose cursor was ``before``: partitions, then the cursor, then runs."""
        name = self.names("videos")
        return dg.SensorResult(
            dynamic_partitions_requests=[
                *([dg.AddDynamicPartitionsRequest(name, list(self.new))] if self.new else []),
                *([dg.DeleteDynamicPartitionsRequest(name, list(self.removed))] if self.removed else []),
            ],
            cursor=self.cursor.to_json(),
            run_requests=[
                dg.RunRequest(run_key=self._run_key(batch, before), tags=partition_tags(batch))
                for batch in self.batches
            ],
            skip_reason=None if self.batches else self.message,
        )

    def _run_key(self, batch: Sequence[str], before: str | None) -> str:
        """The same when a tick is repeated, for it starts from the same cursor; else another for other content."""
        asked = {key: self.requested[key].fingerprint for key in batch if key in self.requested}
        return digest({"cursor": before, "videos": asked})


def library_memory(instance: dg.DagsterInstance, names: LibraryNames, state: str) -> LibraryMemory:
    """What the sensor of a library remembers; ``state`` is of its cursor."""
    sensor = names("video_library")
    return LibraryMemory(InstancePages(instance, sensor), state, Path(instance.storage_directory()) / sensor)


@dataclass
class Look:
    """Looks at what is listed, compares it with what is known, and decides.

    Attributes:
        settings: The deployment's.
        instance: Where partitions are registered and runs held.
        order: All partition keys, in order of registration.
        listed: The library as it is now.
        now: Seconds since 1970.
    """

    settings: LibrarySettings
    instance: dg.DagsterInstance
    order: Sequence[str]
    listed: Listing
    now: float
    _names: LibraryNames = field(init=False)
    _notes: list[str] = field(default_factory=list)
    _unread: int = 0
    _end: float = field(default_factory=lambda: time.monotonic() + READING_SECONDS)

    def __post_init__(self) -> None:
        self._names = LibraryNames.of(self.settings)

    def decide(self, before: Cursor) -> Decision:
        """What is to be done, ``before`` being the cursor of the last look."""
        memory = library_memory(self.instance, self._names, before.state)
        state, order = memory.state, self.order
        known = {key: state.known.get(key) for key in order}
        held = held_keys(self.instance, self._names, order)
        changes = partition_changes(self.listed, known, held)
        settled, sightings = settled_videos(
            (*changes.new, *changes.changed), state.sightings, self.now, self.settings.settle_seconds
        )
        wanted, recognised = self._read(settled, known)
        new = [key for key in wanted if key not in known]
        between = [key for key in bridges(wanted, [*order, *new]) if known.get(key) and key not in held]
        batches = neighbour_batches(
            wanted, [*order, *new], self.settings.videos_per_run, self._done(between) if between else ()
        )[:REQUESTS_PER_TICK]
        requested = {key: wanted[key] for batch in batches for key in batch if key in wanted}
        hold = hold_back(self.listed, changes.removed, len(known), before.hold)
        self._note_hold(hold, changes.removed, len(known))
        removed = set(self._let_go(() if hold else changes.removed[:DELETIONS_PER_TICK]))

        looked_at = {**recognised, **requested}
        unfilled = {} if before.filled else self._unfilled({**known, **recognised}, requested)
        reported = dict(islice(unfilled.items(), max(VIDEOS_PER_TICK - len(requested), 0)))
        remembered = {**{key: video for key, video in known.items() if video}, **looked_at}
        after = LibraryState(
            known={key: video for key, video in remembered.items() if key not in removed},
            sightings={key: sighting for key, sighting in sightings.items() if key not in looked_at},
        )
        return Decision(
            cursor=Cursor(memory.remember(after), hold, reported == unfilled and not after.sightings),
            requested=requested,
            batches=batches,
            new=[key for key in new if key in requested],
            removed=sorted(removed),
            unfilled=reported,
            message=self._message(
                {
                    "new": sum(known.get(key) is None for key in requested),
                    "changed": sum(known.get(key) is not None for key in requested),
                    "removed": len(removed),
                    "waiting: still being copied, or seen for too short a time": len(sightings) - len(settled),
                    "waiting: a run holds it": len(changes.busy),
                    "left to the next tick": len(settled) - len(looked_at) - self._unread,
                },
            ),
            names=self._names,
        )

    def _read(
        self, settled: Sequence[VideoFile], known: Mapping[str, KnownVideo | None]
    ) -> tuple[dict[str, KnownVideo], dict[str, KnownVideo]]:
        """The settled videos that are to be asked for, and those whose content or result is known already."""
        wanted: dict[str, KnownVideo] = {}
        recognised: dict[str, KnownVideo] = {}
        limit = max(VIDEOS_PER_TICK, self.settings.videos_per_run)
        for video in settled:
            if len(wanted) == limit or time.monotonic() > self._end:
                break
            try:
                fingerprint = self.settings.source.fingerprint(video.key)
                read = KnownVideo(video.size, video.mtime_ns, fingerprint, video.etag)
            except VideoError as error:
                self._unread += 1
                self._notes.append(f"waiting: {error}")
                continue
            before = known.get(video.key)
            is_same = before.fingerprint == read.fingerprint if before else self._is_done(video.key, read, known)
            (recognised if is_same else wanted)[video.key] = read
        return wanted, recognised

    def _unfilled(self, known: Mapping[str, KnownVideo | None], requested: Container[str]) -> dict[str, str]:
        """Fingerprints of known videos whose data version was only observed, or never reported, by key."""
        filled = self.instance.get_materialized_partitions(self._names.videos)
        return {
            key: video.fingerprint
            for key, video in known.items()
            if video and key not in filled and key not in requested
        }

    def _is_done(self, key: str, video: KnownVideo, registered: Container[str]) -> bool:
        """Whether everything is there for a video of which nothing is remembered, as after it was added by hand."""
        if key not in registered or key not in self._materialized:
            return False
        store = Store(self.settings.output)
        manifests = (store.manifest(asset, key) for asset in PER_VIDEO)
        return all(found and found.parameters.get("source") == video.fingerprint for found in manifests)

    def _done(self, keys: Sequence[str]) -> set[str]:
        """Those of these videos of which everything is as the settings ask for; as many as there is time to look at."""
        materialized = [key for key in keys if key in self._materialized]
        states = takewhile(lambda _: time.monotonic() < self._end, video_states(self.settings, materialized, {}))
        return {video.key for video in states if video.state == "done"}

    @cached_property
    def _materialized(self) -> set[str]:
        """The videos of which all assets are."""
        return set.intersection(*map(self.instance.get_materialized_partitions, self._names.keys(PER_VIDEO)))

    def _note_hold(self, hold: Hold | None, removed: Sequence[str], known: int) -> None:
        """Say what is not deleted, and why."""
        if hold is None:
            return
        named = ", ".join(removed[:NAMED]) + (" ..." if len(removed) > NAMED else "")
        if not self.listed.videos:
            why = "an empty library removes nothing: is a disk unmounted?"
        else:
            left = AGREEING_TICKS - hold.agreed
            why = f"of {known} videos, so many go only when the next {left} ticks find the same"
        self._notes.append(f"{len(removed)} gone but kept ({named}): {why}")

    def _let_go(self, keys: Sequence[str]) -> list[str]:
        """The keys whose partitions can be deleted, after their results were moved to the trash if that is wanted."""
        if self.settings.removed == "keep":
            return list(keys)
        store = Store(self.settings.output)
        moved = []
        for key in keys:
            if time.monotonic() > self._end:
                break
            try:
                move_to_trash(store, key)
            except StoreError as error:
                self._notes.append(f"not removed yet: {error}")
            else:
                moved.append(key)
        return moved

    def _message(self, counts: Mapping[str, int]) -> str:
        """The counts that aren't 0, then what is to be noted; of many notes the first ones; then the files left out."""
        words = [f"{count} {what}" for what, count in counts.items() if count]
        notes = self._notes + [f"left out {item.key!r}: {item.reason}" for item in self.listed.unlisted]
        words += notes[:NAMED] + ([f"and {len(notes) - NAMED} more"] if len(notes) > NAMED else [])
        told = ", ".join(words) or f"no change, {len(self.listed.videos)} videos"
        left_out = others_in_words(self.listed.others)
        return f"{told}; {left_out}" if left_out else told
