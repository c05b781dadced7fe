"""What the library holds: each video with what is stored of it and what is known of its state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from typing import TYPE_CHECKING, Literal, overload

from clip_assets.browse.refreshed import Refreshed
from clip_assets.core.digests import digest
from clip_assets.core.errors import ResultCorruptError, ResultMissingError
from clip_assets.results.summaries import FeatureSummary, FrameSummary

if TYPE_CHECKING:
    from clip_assets.core.store import Store
    from clip_assets.core.store.manifest import Manifest

State = Literal["done", "failed", "stale", "waiting", "gone", "stored"]
"""``waiting``: not everything is computed; ``gone``: its file isn't in the library; ``stored``: something is, and
nobody tells whether it is as wanted."""

FEATURES, FRAMES = "clip_features", "frame_indices"

_NEWEST = 24
_FIRST_PATIENCE = 5.0
_PATIENCE = 0.25
_HELD_SECONDS = 3.0
_STATES_SECONDS = 15.0


@dataclass(frozen=True)
class VideoState:
    """What Dagster and the settings say of a video.

    Attributes:
        state: See `State`.
        reason: Why it failed or is stale; else empty.
    """

    state: State
    reason: str = ""


StatesProvider = Callable[[], Mapping[str, VideoState]]
"""Gives the state of each registered video, by its key; may take long."""


@dataclass(frozen=True, slots=True)
class Video:
    """A video of the library.

    Attributes:
        key: Its partition key.
        state: Its state.
        reason: Why it failed or is stale; else empty.
        created: When its features were stored, ISO 8601; empty where none are.
        version: Another one for each result that is stored; empty where none is.
        seconds: Its duration; None where it isn't known.
        frames: Number of its features; None where none are stored.
        model: The model's name; empty where no features are stored.
        damage: What is missing of a damaged video; empty for a whole one.
    """

    key: str
    state: State
    reason: str = ""
    created: str = ""
    version: str = ""
    seconds: float | None = None
    frames: int | None = None
    model: str = ""
    damage: str = ""

    @property
    def folder(self) -> str:
        """The folder it lies in; empty for the library's own."""
        return self.key.rpartition("/")[0]


class Videos(Sequence[Video]):
    """All videos at one time, sorted by key; what is told of all of them is computed once."""

    def __init__(self, videos: Iterable[Video] = ()) -> None:
        self._videos = tuple(videos)

    @overload
    def __getitem__(self, place: int) -> Video: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Video, ...]: ...
    def __getitem__(self, place: int | slice) -> Video | tuple[Video, ...]:
        return self._videos[place]

    def __len__(self) -> int:
        return len(self._videos)

    def __iter__(self) -> Iterator[Video]:
        return iter(self._videos)

    @cached_property
    def by_key(self) -> Mapping[str, Video]:
        """The videos by their keys."""
        return {video.key: video for video in self._videos}

    @cached_property
    def counts(self) -> Counter[State]:
        """How many videos are in each state."""
        return Counter(video.state for video in self._videos)

    @cached_property
    def seconds(self) -> float:
        """Their durations' sum, as far as they are known."""
        return sum(video.seconds or 0.0 for video in self._videos)

    @cached_property
    def frames(self) -> int:
        """How many features are stored."""
        return sum(video.frames or 0 for video in self._videos)

    @cached_property
    def models(self) -> Sequence[str]:
        """The names of the models that the features are of."""
        return sorted({video.model for video in self._videos if video.model})

    @cached_property
    def folders(self) -> Sequence[str]:
        """The folders that videos lie in, save the library's own."""
        return sorted({video.folder for video in self._videos if video.folder})

    @cached_property
    def failed(self) -> Sequence[Video]:
        """Those that failed."""
        return [video for video in self._videos if video.state == "failed"]

    @cached_property
    def newest(self) -> Sequence[Video]:
        """The last that were stored, the newest first."""
        stored = (video for video in self._videos if video.version)
        return nlargest(_NEWEST, stored, key=lambda video: video.created)


@dataclass(frozen=True)
class Overview:
    """The whole library at one time.

    Attributes:
        videos: Sorted by key.
        states_age: Seconds since the states were asked for; None where nobody tells them.
        trouble: What couldn't be read; else empty.
        is_reading: Whether the library is read for the first time, so that videos may be missing here.
        is_asking: Whether the states are asked for the first time, so that none is known yet.
    """

    videos: Videos
    states_age: float | None
    trouble: str
    is_reading: bool
    is_asking: bool


class Holdings:
    """What the store and the states' provider tell, read anew now and then."""

    def __init__(self, store: Store, provider: StatesProvider | None = None) -> None:
        self._store = store
        self._known: dict[str, tuple[str, Video | None]] = {}
        self._held: Refreshed[Mapping[str, Video]] = Refreshed(self._read, {}, _HELD_SECONDS)
        self._no_states: Mapping[str, VideoState] = {}
        self._merged: tuple[Mapping[str, Video], Mapping[str, VideoState], Videos] = ({}, {}, Videos())
        self._states: Refreshed[Mapping[str, VideoState]] | None = None
        if provider:
            self._states = Refreshed(provider, {}, _STATES_SECONDS)

    def overview(self) -> Overview:
        """The library as it was a moment ago."""
        held = self._held.get(_PATIENCE if self._held.age() is not None else _FIRST_PATIENCE)
        states = self._no_states
        if self._states:
            states = self._states.get(_PATIENCE)
        videos = self._together(held, states)
        trouble = self._held.trouble or (self._states.trouble if self._states else "")
        age = self._states.age() if self._states else None
        is_asking = self._states is not None and age is None and not trouble
        return Overview(videos, age, trouble, self._held.age() is None, is_asking)

    def _together(self, held: Mapping[str, Video], states: Mapping[str, VideoState]) -> Videos:
        """What both tell of each video, made anew only where one of them is another than the last time."""
        known_held, known_states, videos = self._merged
        if held is not known_held or states is not known_states:
            videos = Videos(_with_state(key, held.get(key), states.get(key)) for key in sorted({*held, *states}))
            self._merged = held, states, videos
        return videos

    def begin(self) -> None:
        """Begin to read, so that the first page needn't wait for it."""
        self._held.get(0.0)
        if self._states:
            self._states.get(0.0)

    def video(self, key: str) -> Video | None:
        """One video; None where it is neither stored nor registered."""
        return self.overview().videos.by_key.get(key)

    def _read(self) -> Mapping[str, Video]:
        identities = self._store.identities(FEATURES)
        for directory, identity in identities.items():
            if self._known.get(directory, ("",))[0] != identity:
                manifest = self._store.manifest_in(FEATURES, directory)
                self._known[directory] = identity, self._held_video(manifest, identity) if manifest else None
        self._known = {directory: known for directory, known in self._known.items() if directory in identities}
        return {video.key: video for _, video in self._known.values() if video}

    def _last_second(self, features: Manifest) -> float | None:
        """The time of the last sample."""
        count = _rows(features)
        if count:
            with suppress(ResultMissingError, ResultCorruptError):
                (last,) = self._store.rows(features, "timestamps_ms", [(count - 1, count)])
                return float(last[0]) / 1000
        return None

    def _held_video(self, manifest: Manifest, identity: str) -> Video:
        frames = self._store.manifest(FRAMES, manifest.partition_key)
        features = FeatureSummary.read(manifest.summary)
        damage = features.damage or ""
        seconds = FrameSummary.read(frames.summary).duration_seconds if frames else None
        return Video(
            manifest.partition_key,
            "stored",
            created=manifest.created,
            version=digest({"identity": identity})[:10],
            seconds=self._last_second(manifest) if seconds is None else seconds,
            frames=_rows(manifest),
            model=str(manifest.parameters.get("model_name", "")),
            damage="" if damage == "none" else damage,
        )


def _rows(manifest: Manifest) -> int:
    return manifest.arrays["timestamps_ms"].shape[0] if "timestamps_ms" in manifest.arrays else 0


def _with_state(key: str, held: Video | None, told: VideoState | None) -> Video:
    if held is None:
        return Video(key, told.state if told else "waiting", told.reason if told else "")
    if told is None:
        return held
    return Video(
        held.key,
        told.state,
        told.reason,
        held.created,
        held.version,
        held.seconds,
        held.frames,
        held.model,
        held.damage,
    )
