"""Compares what is stored of videos with what the settings ask for, whatever runs have come to."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cached_property, partial
from multiprocessing import get_context

from clip_assets.core.digests import digest
from clip_assets.core.errors import ClipAssetsError, PartitionKeyError
from clip_assets.core.garbage import collect_rarely
from clip_assets.core.library.keys import validate_key
from clip_assets.core.library.signatures import Signature, stat_of
from clip_assets.core.library.source import VideoSource
from clip_assets.core.model.devices import expected_precision
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import Manifest
from clip_assets.models import family_of
from clip_assets.results.assets import PER_VIDEO, Wish, wanted_parameters
from clip_assets.results.parameters import (
    FROM_FRAMES,
    Parameters,
    Unknown,
    differences,
    encoding_parameters,
    frame_parameters,
    model_parameters,
    of_frames,
    wanted_texts,
)
from clip_assets.results.staleness import in_words
from clip_assets.results.summaries import FeatureSummary, FrameSummary
from clip_assets.results.video_status import AssetState, VideoStatus
from clip_assets.settings import LibrarySettings

_VERSION = 1
"""Raised where comparing comes to something else of the same manifests, or is told in another way."""

_IN_THIS_PROCESS = 5000
"""Videos that are compared before others begin, which takes them a second."""

Signed = tuple[str, Signature | None]
"""A video's partition key, and its file."""


class Comparers:
    """Compares with what settings ask for, where videos are very many and results on a disk in several processes.

    Args:
        settings: A library's.
        processes: How many at most.

    Attributes:
        store: Where the results are.
        at_once: How many times `begin` is to be called before the first one is asked for.
    """

    def __init__(self, settings: LibrarySettings, processes: int) -> None:
        self._comparing = _Comparing(settings)
        self._settings = settings
        self._begun = 0
        self._pool: ProcessPoolExecutor | None = None
        self.store = self._comparing.store
        self.at_once = processes if processes > 1 and self.store.is_local else 0

    @cached_property
    def token(self) -> str:
        """A digest of what videos are compared with; empty where not all of it is known."""
        return self._comparing.token()

    def begin(self, videos: Sequence[Signed]) -> Callable[[], list[VideoStatus]]:
        """What gives what is stored of each of these videos, when it is called; no asset has failed."""
        self._begun += len(videos)
        compare_here = partial(self._comparing.compare, videos)
        if not self.at_once or self._begun <= _IN_THIS_PROCESS:
            return compare_here
        if self._pool is None:
            context = get_context("spawn")  # Dagster's and fsspec's threads don't outlive a fork
            self._pool = ProcessPoolExecutor(self.at_once, context, _prepare, (self._settings,))
        try:
            with _interrupts_later():  # else a process that isn't ready yet tells of them by a traceback
                compared = self._pool.submit(_compare, videos)
        except BrokenProcessPool:
            return compare_here

        def finish() -> list[VideoStatus]:
            try:
                return compared.result()
            except BrokenProcessPool:  # one was killed, as for want of memory
                return compare_here()

        return finish

    def close(self) -> None:
        """End the processes."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


class _Comparing:
    """Compares with what settings ask for."""

    def __init__(self, settings: LibrarySettings) -> None:
        self.store = Store(settings.output)
        self._source = settings.source
        self._sampling = settings.sampling
        on_gpus = family_of(settings.model_name).gpu_precision
        precision = expected_precision(settings.precision, settings.device_ids, on_gpus)
        self._encoding = encoding_parameters(model_parameters(settings, precision), settings.pipeline_options)
        self._texts = wanted_texts(settings)

    def token(self) -> str:
        """As `Comparers.token`."""
        asked = wanted_parameters(Wish(frame_parameters("", self._sampling), self._encoding, self._texts))
        if any(isinstance(value, Unknown) for parameters in asked.values() for value in parameters.values()):
            return ""
        return digest({"asked": asked, "videos": self._source.where(), "version": _VERSION})

    def compare(self, videos: Sequence[Signed]) -> list[VideoStatus]:
        compared = []
        found = self.store.many.manifests([(asset, key) for key, _ in videos for asset in PER_VIDEO])
        for key, signature in videos:
            manifests = {asset: next(found) for asset in PER_VIDEO}
            if signature is None and _is_gone(self._source, key):
                states = {asset: AssetState("gone", "", _created(manifest)) for asset, manifest in manifests.items()}
            elif not any(manifests.values()):
                states = dict.fromkeys(PER_VIDEO, AssetState("missing"))
            else:
                wanted = self._wanted(key, signature, manifests)
                states = {asset: _state(manifest, wanted[asset]) for asset, manifest in manifests.items()}
            features = manifests["clip_features"]
            frames = FeatureSummary.read(features.summary).frames if features else None
            model = features.parameters.get("model_name") if features else None
            compared.append(VideoStatus(key, states, frames, model))
        return compared

    def _wanted(
        self, key: str, signature: Signature | None, manifests: Mapping[str, Manifest | None]
    ) -> Mapping[str, Parameters]:
        content = _content(self._source, key, signature, list(filter(None, manifests.values())))
        frames = frame_parameters(content, self._sampling)
        chosen = partial(_of_frames, frames, manifests, self.store)
        return wanted_parameters(Wish(frames, self._encoding, self._texts, chosen))


_here: _Comparing
"""In a process of `Comparers`."""


def _prepare(settings: LibrarySettings) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends it without a word
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    collect_rarely()
    _here = _Comparing(settings)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Processes that are begun meanwhile hear of no interrupt until they want to."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _compare(videos: Sequence[Signed]) -> list[VideoStatus]:
    return _here.compare(videos)


def _of_frames(
    frames: Parameters, manifests: Mapping[str, Manifest | None], store: Store, features: Parameters
) -> Parameters:
    """The parameters of features, with what they take from the frames.

    Until these are stored as they are wanted, nobody knows it, and what was made of others counts as made of them.
    """
    chosen = manifests["frame_indices"]
    if chosen is None or differences(chosen.parameters, frames):
        made = next((found.parameters for asset, found in manifests.items() if found and asset != "frame_indices"), {})
        return {**features, **{name: made[name] for name in FROM_FRAMES if name in made}}
    return of_frames(features, FrameSummary.read(chosen.summary), manifests["clip_features"], store)


def _is_gone(source: VideoSource, key: str) -> bool:
    try:
        validate_key(key)
    except PartitionKeyError:
        return False
    return source.is_gone(key)


def _content(source: VideoSource, key: str, signature: Signature | None, stored: Sequence[Manifest]) -> str | Unknown:
    """The fingerprint of the video: as it was noted of this file, else read."""
    if signature is not None:
        seen = stat_of(signature)
        noted = {str(manifest.parameters.get("source")) for manifest in stored if manifest.source_stat == seen}
        if len(noted) == 1:
            return noted.pop()
    try:
        return source.fingerprint(key)
    except ClipAssetsError as error:
        return Unknown(str(error))


def _state(manifest: Manifest | None, wanted: Parameters) -> AssetState:
    if manifest is None:
        return AssetState("missing")
    differing = differences(manifest.parameters, wanted)
    if not differing:
        return AssetState("done", created=manifest.created)
    return AssetState("stale", "; ".join(in_words(differing)), manifest.created, differing)


def _created(manifest: Manifest | None) -> str:
    return manifest.created if manifest else ""
