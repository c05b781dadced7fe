"""Keeps the index true: what is stored, and whether the videos are still those that it was made of."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from clip_assets.core.digests import digest
from clip_assets.core.errors import ClipAssetsError, LibraryError, ResultCorruptError, ResultMissingError
from clip_assets.core.library.changes import is_below
from clip_assets.core.library.listing import Listing
from clip_assets.core.library.source import VideoSource
from clip_assets.core.model.family import SAME_SHOT_COSINE
from clip_assets.core.records import ClipFeatures, FrameIndices, Shots, SourceStat
from clip_assets.core.search.cache import CacheDamagedError, ShotCache
from clip_assets.core.search.entries import Entry, KnownResult, State
from clip_assets.core.shots import find_shots, shot_parameters
from clip_assets.core.store import Store
from clip_assets.core.store.arrays import header_bytes
from clip_assets.core.store.manifest import Manifest

T = TypeVar("T")
U = TypeVar("U")

CosineOf = Callable[[str], float]
"""By a model's name the `same_shot_cosine` of its features."""

FEATURES, SHOTS, FRAMES = "clip_features", "shots", "frame_indices"

AT_ONCE = 16
"""Results of a bucket that are read at the same time."""

LISTED_TOGETHER = 1000
"""Videos that one request to a bucket lists."""

_TOGETHER = 256
"""Videos that are put into the index by one transaction: so many are lost at most when the process is killed."""


@dataclass(frozen=True)
class Census:
    """What there is in an output, for people.

    Attributes:
        models: For each model's name and weights how many videos have its features, whatever their state.
        states: For each model's weights how many videos are in each state.
        at: When the whole library was last compared, seconds since 1970; 0 for never.
        unlisted: Why the folder of videos can't be listed; empty where it can.
    """

    models: Mapping[tuple[str, str], int] = field(default_factory=dict)
    states: Mapping[str, Mapping[State, int]] = field(default_factory=dict)
    at: float = 0.0
    unlisted: str = ""


class Upkeep:
    """The index of one output, compared with the store and with the videos."""

    def __init__(
        self,
        cache: ShotCache,
        store: Store,
        videos: VideoSource,
        same_shot_cosine: CosineOf = lambda _: SAME_SHOT_COSINE,
    ) -> None:
        self.cache = cache
        self._store = store
        self._videos = videos
        self._same_shot_cosine = same_shot_cosine
        self._unlisted = ""

    def census(self) -> Census:
        """What the index knows by now."""
        states: dict[str, Counter[State]] = {}
        models: Counter[tuple[str, str]] = Counter()
        for (model, weights, state), count in self.cache.counts().items():
            states.setdefault(weights, Counter())[state] += count
            models[model, weights] += count
        return Census(models, states, self.cache.looked_at(), self._unlisted)

    def count(self) -> int:
        """How many results the index knows, whatever their model and state."""
        return sum(self.cache.counts().values())

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compare the whole library: read what is new or changed, forget what went, look at the videos' files.

        Args:
            progress: Told now and then how many of how many new and changed results are read.

        Raises:
            StoreError: The store, or the index's folder, can't be used.
        """
        try:
            self._refresh(progress)
        except CacheDamagedError:
            self.cache.reset()
            self._refresh(progress)

    def confirm(self, directories: Collection[str], unreadable: Collection[str] = ()) -> bool:
        """Compare these results alone, and the files of their videos; whether all is as the index says.

        Args:
            directories: Those behind an answer.
            unreadable: Those whose stored rows couldn't be read: unless they were replaced, they aren't searched again.
        """
        asked = {*directories, *unreadable}
        before = self.cache.known(asked)
        identities = self._at_once(lambda result: self._store.identity(FEATURES, result.key), before.values())
        now = dict(zip(before, identities, strict=True))
        changed = {directory for directory, result in before.items() if now[directory] != result.identity}
        self._read_again({directory: identity for directory in changed if (identity := now[directory])})
        self.cache.remove(directory for directory in changed if now[directory] is None)
        spoilt = set(unreadable) - changed
        self.cache.set_states(dict.fromkeys(spoilt, ("unreadable", None)))
        left = list(self.cache.known(asked).values())
        differs = self._compare_files(left, self._files_of(left))
        return not (changed or spoilt or differs or len(before) < len(asked))

    def _refresh(self, progress: Callable[[int, int], None] | None) -> None:
        began = time.time()
        stored = self._store.identities(FEATURES)
        known = {directory: result.identity for directory, result in self.cache.known().items()}
        self.cache.remove([directory for directory in known if directory not in stored])
        changed = {name: identity for name, identity in stored.items() if known.get(name) != identity}
        self._read_again(changed, progress)
        self._compare_all_files()
        self.cache.set_looked_at(began)

    def _read_again(self, identities: Mapping[str, str], progress: Callable[[int, int], None] | None = None) -> None:
        """Put these results into the index as they are now; those that went meanwhile are forgotten."""
        names = list(identities)
        for start in range(0, len(names), _TOGETHER):
            together = names[start : start + _TOGETHER]
            entries = self._at_once(
                lambda name: read_entry(self._store, name, identities[name], self._same_shot_cosine), together
            )
            read = dict(zip(together, entries, strict=True))
            self.cache.put(entry for entry in read.values() if entry)
            self.cache.remove(name for name, entry in read.items() if entry is None)
            if progress:
                progress(min(start + _TOGETHER, len(names)), len(names))

    def _compare_all_files(self) -> None:
        try:
            listing = self._videos.listing()
        except LibraryError as error:
            self._unlisted = str(error).partition(". ")[0]
            return
        self._unlisted = ""
        results = list(self.cache.known().values())
        files = _files(listing, (result.key for result in results))
        for start in range(0, len(results), _TOGETHER):  # each may have to be read once, so keep what is known
            self._compare_files(results[start : start + _TOGETHER], files)

    def _files_of(self, results: Iterable[KnownResult]) -> dict[str, SourceStat | None]:
        """The files of these results' videos by key, None for those that are gone; without those nobody knows of."""
        files: dict[str, SourceStat | None] = {}
        results = list(results)
        if not self._videos.is_local and self.count() < LISTED_TOGETHER * len(results):
            try:
                return _files(self._videos.listing(), (result.key for result in results))
            except LibraryError as error:
                self._unlisted = str(error).partition(". ")[0]
                return {}
        for result in results:
            try:
                files[result.key] = self._videos.stat(result.key)
            except ClipAssetsError as error:
                if self._videos.is_gone(result.key):
                    files[result.key] = None
                else:
                    self._unlisted = f"{self._videos.where()} can't be listed whole: {error}"
        return files

    def _at_once(self, read: Callable[[T], U], what: Iterable[T]) -> list[U]:
        """What is read of each; in a bucket of several at a time, for there each takes its while."""
        if self._store.is_local:
            return [read(one) for one in what]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(read, what))

    def _compare_files(self, results: Iterable[KnownResult], files: Mapping[str, SourceStat | None]) -> bool:
        """Note which results are of their videos as these are now; whether any wasn't in that state before."""
        found: dict[str, tuple[State, SourceStat | None]] = {}
        for result in results:
            if result.key not in files or result.state == "unreadable":
                continue
            stat = files[result.key]
            seen = None if result.size is None else SourceStat(result.size, result.mtime_ns or 0, result.etag or "")
            if stat is None:
                state: State = "removed"
            elif stat == seen:
                continue
            else:
                state = "searched" if self._is_of(result) else "stale"
            if state != result.state or stat != seen:
                found[result.directory] = (state, stat)
        self.cache.set_states(found)
        states = {result.directory: result.state for result in results}
        return any(state != states[directory] for directory, (state, _) in found.items())

    def _is_of(self, result: KnownResult) -> bool:
        """Whether the result was made from the video as it is now."""
        try:
            return self._videos.fingerprint(result.key) == result.source
        except ClipAssetsError:
            return False


def read_entry(store: Store, directory: str, identity: str, same_shot_cosine: CosineOf) -> Entry | None:
    """A stored result as the index keeps it; None where nothing whole is.

    Args:
        store: Where it is.
        directory: Below that of the features.
        identity: Found before: a result that is replaced while it is read is then read again.
        same_shot_cosine: For shots that aren't stored.

    Raises:
        StoreError: The store can't be read.
    """
    manifest = store.manifest_in(FEATURES, directory)
    if manifest is None:
        return None
    made = manifest.parameters
    model, weights, source = (str(made.get(name, "")) for name in ("model_name", "weights_sha256", "source"))
    key, stat = manifest.partition_key, manifest.source_stat
    entry = Entry(directory, identity, key, model, weights, source, stat)
    if manifest.record != ClipFeatures.__name__:
        return entry
    try:
        shots = shots_of(store, manifest, same_shot_cosine(model))
        (times_ms,) = store.rows(manifest, "timestamps_ms", [(0, manifest.arrays["timestamps_ms"].shape[0])])
    except (ResultMissingError, ResultCorruptError):
        return entry
    if len(shots.first_rows) == 0:
        return entry
    return replace(
        entry,
        rows=int(shots.last_rows[-1]) + 1,
        duration_ms=float(shots.to_ms[-1]),
        shots=shots,
        header=header_bytes(manifest, "clip") if manifest.format == "numpy" else 0,
        times_ms=times_ms,
    )


def shots_of(store: Store, features: Manifest, same_shot_cosine: float) -> Shots:
    """The shots of stored features: the stored ones if they are of these, else computed.

    Raises:
        StoreError: The features can't be read.
    """
    key = features.partition_key
    stored = store.manifest(SHOTS, key)
    if stored is not None and stored.data_version == digest(shot_parameters(features.parameters, same_shot_cosine)):
        with suppress(ResultMissingError, ResultCorruptError):  # they can be had without it
            return store.read(SHOTS, key, Shots)
    record = store.read(FEATURES, key, ClipFeatures)
    return find_shots(record, duration_ms(store, record, key), same_shot_cosine)


def duration_ms(store: Store, features: ClipFeatures, key: str) -> float:
    """Where a video ends; without its frame indices a usual gap after the last sample."""
    try:
        return store.read(FRAMES, key, FrameIndices).duration_ms
    except (ResultMissingError, ResultCorruptError):
        times = features.timestamps_ms
        return float(times[-1] + np.median(np.diff(times))) if len(times) > 1 else float(times.sum())


def _files(listing: Listing, keys: Iterable[str]) -> dict[str, SourceStat | None]:
    """The files of these keys, None for those that are gone; without those that may lie where nothing was listed."""
    present = {video.key: video.stat for video in listing.videos}
    unlisted = {item.key for item in listing.unlisted}
    return {key: present.get(key) for key in keys if key in present or not is_below(key, unlisted)}
