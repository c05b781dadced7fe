"""The truth about each video, from the manifests: what is stored, and whether it is what the settings ask for."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import islice, repeat
from typing import Any, Literal

from clip_assets.core.digests import digest
from clip_assets.core.errors import ClipAssetsError, PartitionKeyError
from clip_assets.core.library.keys import validate_key
from clip_assets.core.library.signatures import Signature, stat_of
from clip_assets.core.library.source import VideoSource
from clip_assets.core.model.devices import expected_precision
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import Manifest
from clip_assets.core.user_cache import user_cache_folder
from clip_assets.models import family_of
from clip_assets.results.assets import PER_VIDEO, Wish, wanted_parameters
from clip_assets.results.failure import Failure
from clip_assets.results.known_states import KnownStates
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
from clip_assets.results.staleness import Differing, in_words
from clip_assets.results.summaries import FeatureSummary, FrameSummary
from clip_assets.results.versions import attempt_digests
from clip_assets.settings import LibrarySettings

State = Literal["failed", "stale", "missing", "done", "gone"]
"""``done``: what the settings ask for is stored; ``failed``: the last run for it failed; ``stale``: something else is
stored; ``missing``: nothing whole is; ``gone``: the video's file isn't in the library, whatever is stored."""

_WORST_FIRST: Sequence[State] = ("failed", "stale", "missing", "done", "gone")

Failures = Mapping[str, Mapping[str, Failure]]
"""Why the last run failed, by asset and partition key; see `instance.failures`."""


@dataclass(frozen=True)
class AssetState:
    """What is stored of one asset for one partition.

    Attributes:
        state: See `State`.
        reason: Why it failed, or is stale; empty otherwise.
        created: When what is stored was written, UTC, ISO 8601; empty where nothing is.
        differing: Where it is stale, in what; see `staleness`.
        failed_as_before: Whether it failed, and neither its file nor the settings have changed since.
    """

    state: State
    reason: str = ""
    created: str = ""
    differing: Differing = field(default_factory=dict)
    failed_as_before: bool = False


@dataclass(frozen=True)
class VideoStatus:
    """What is stored of one video.

    Attributes:
        key: Its partition key.
        assets: The state of each asset, by the asset's name; whoever comes later depends on those before.
        frames: Number of its features; None where none are stored.
        model: Name of the model that these were made with; None where none are stored.
    """

    key: str
    assets: Mapping[str, AssetState]
    frames: int | None = None
    model: str | None = None

    @property
    def state(self) -> State:
        """The worst of its assets' states; if it is gone, all of them are."""
        return self._worst.state

    @property
    def reason(self) -> str:
        """Why it failed, or why any of its assets is stale; empty otherwise."""
        if self.state != "stale":
            return self._worst.reason
        differing: dict[str, tuple[Any, Any]] = {}
        for asset in reversed(list(self.assets.values())):
            differing |= asset.differing
        return "; ".join(in_words(differing)) or self._worst.reason

    @property
    def is_wanted(self) -> bool:
        """Whether a run should take it: it isn't done, and it isn't to fail as it did before."""
        if self.state != "failed":
            return self.state in ("stale", "missing")
        for asset in self.assets.values():
            if asset.failed_as_before:
                return False
            if asset.state != "done":
                return True
        return False

    @cached_property
    def _worst(self) -> AssetState:
        return min(self.assets.values(), key=lambda asset: _WORST_FIRST.index(asset.state))


def video_states(settings: LibrarySettings, keys: Sequence[str], failures: Failures) -> Iterator[VideoStatus]:
    """The state of each video.

    A video whose file has the size and time that were noted when its fingerprint was taken is not read. That is meant
    for whoever shows states; the assets read it. Of very many videos those are not compared again that are as they were
    when they were compared last on this machine.

    Args:
        settings: The deployment's.
        keys: Partition keys.
        failures: As `instance.failures` gives them.

    Raises:
        LibraryUnreadableError: The library's folder can't be listed, as when a disk isn't mounted.
    """
    settings.source.check_listable()
    comparing = _Comparing(settings)
    known = _Known(comparing) if len(keys) >= _MANY and comparing.token else None
    attempts = attempt_digests(settings)
    signatures = settings.source.signatures(keys)
    identities: Iterable[Sequence[str | None]] = known.identities(keys) if known else repeat(())
    of_keys = zip(keys, identities, strict=False)
    while together := list(islice(of_keys, _TOGETHER)):
        asked = [(key, signatures[key]) for key, _ in together]
        compared = known.compare(asked, [found for _, found in together]) if known else comparing.compare(asked)
        for video in compared:
            states = {
                asset: _after_failure(state, failures, asset, video.key, attempts, signatures[video.key])
                for asset, state in video.assets.items()
            }
            yield replace(video, assets=states)


_MANY = 256
"""Videos from which on it is remembered what was found out: with fewer, comparing takes as long as remembering."""

_VERSION = 1
"""Raised where comparing comes to something else of the same manifests, or is told in another way."""

_TOGETHER = 1000
"""Videos whose manifests are read at once."""

_Signed = tuple[str, Signature | None]
"""A video's partition key, and its file."""


class _Comparing:
    """Compares what is stored of videos with what the settings ask for, whatever runs have come to."""

    def __init__(self, settings: LibrarySettings) -> None:
        self.store = Store(settings.output)
        self._source = settings.source
        self._sampling = settings.sampling
        on_gpus = family_of(settings.model_name).gpu_precision
        precision = expected_precision(settings.precision, settings.device_ids, on_gpus)
        self._encoding = encoding_parameters(model_parameters(settings, precision), settings.pipeline_options)
        self._texts = wanted_texts(settings)

    @cached_property
    def token(self) -> str:
        """A digest of what videos are compared with; empty where not all of it is known."""
        asked = wanted_parameters(Wish(frame_parameters("", self._sampling), self._encoding, self._texts))
        if any(isinstance(value, Unknown) for parameters in asked.values() for value in parameters.values()):
            return ""
        return digest({"asked": asked, "videos": self._source.where(), "version": _VERSION})

    def compare(self, videos: Sequence[_Signed]) -> Iterator[VideoStatus]:
        """What is stored of each of these videos; no asset has failed."""
        found = iter(self.store.many.manifests([(asset, key) for key, _ in videos for asset in PER_VIDEO]))
        for key, signature in videos:
            manifests = {asset: next(found) for asset in PER_VIDEO}
            if signature is None and _is_gone(self._source, key):
                states = {asset: AssetState("gone", "", _created(manifest)) for asset, manifest in manifests.items()}
            else:
                wanted = self._wanted(key, signature, manifests)
                states = {asset: _state(manifest, wanted[asset]) for asset, manifest in manifests.items()}
            features = manifests["clip_features"]
            frames = FeatureSummary.read(features.summary).frames if features else None
            yield VideoStatus(key, states, frames, features.parameters.get("model_name") if features else None)

    def _wanted(
        self, key: str, signature: Signature | None, manifests: Mapping[str, Manifest | None]
    ) -> Mapping[str, Parameters]:
        content = _content(self._source, key, signature, list(filter(None, manifests.values())))
        frames = frame_parameters(content, self._sampling)
        chosen = partial(_of_frames, frames, manifests, self.store)
        return wanted_parameters(Wish(frames, self._encoding, self._texts, chosen))


class _Known:
    """Compares what isn't as it was when it was compared last on this machine, and remembers what came of it."""

    def __init__(self, comparing: _Comparing) -> None:
        self._comparing = comparing
        where = digest({"output": str(comparing.store.root)})[:32]
        self._states = KnownStates(user_cache_folder() / "states" / f"{where}.sqlite")
        self._rows = self._states.read()

    def identities(self, keys: Sequence[str]) -> Iterator[list[str | None]]:
        """What tells the results of each of these videos from all others."""
        return self._comparing.store.many.identities(list(PER_VIDEO), keys)

    def compare(self, videos: Sequence[_Signed], identities: Sequence[Sequence[str | None]]) -> Iterator[VideoStatus]:
        """What is stored of each of these videos, as `_Comparing.compare` gives it."""
        tokens = {
            key: _token(self._comparing.token, signature, stored)
            for (key, signature), stored in zip(videos, identities, strict=True)
        }
        others = [video for video in videos if self._rows.get(video[0], (b"", ""))[0] != tokens[video[0]]]
        compared = {video.key: video for video in self._comparing.compare(others)}
        told = {key: _told(video) for key, video in compared.items()}
        self._states.write({key: (tokens[key], text) for key, text in told.items() if text})
        for key, _ in videos:
            yield compared.get(key) or _read(key, self._rows[key][1])


def _token(asked: str, signature: Signature | None, identities: Sequence[str | None]) -> bytes:
    """A digest of all that the comparison of a video rests on."""
    return hashlib.blake2b(repr((asked, signature, identities)).encode(), digest_size=16).digest()


def _told(video: VideoStatus) -> str:
    """A video as `_read` reads it; empty where it may be another tomorrow, with all as it is."""
    states = video.assets.values()
    if video.state == "gone" or any(isinstance(value, Unknown) for state in states for value in _wished(state)):
        return ""
    assets = [(state.state, state.created, *([state.differing] if state.differing else [])) for state in states]
    return json.dumps([assets, video.frames, video.model], separators=(",", ":"))


def _wished(state: AssetState) -> Iterable[Any]:
    return (wanted for _, wanted in state.differing.values())


def _read(key: str, told: str) -> VideoStatus:
    assets, frames, model = json.loads(told)
    states = {}
    for asset, (state, created, *differing) in zip(PER_VIDEO, assets, strict=True):
        if not differing:
            states[asset] = AssetState(state, created=created)
        else:
            pairs = {name: (made, wanted) for name, (made, wanted) in differing[0].items()}
            states[asset] = AssetState(state, "; ".join(in_words(pairs)), created, pairs)
    return VideoStatus(key, states, frames, model)


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
    """The fingerprint of the video, if anything is stored to compare: as it was noted of this file, else read."""
    if not stored:
        return Unknown("nothing is stored")
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


def _after_failure(
    state: AssetState,
    failures: Failures,
    asset: str,
    key: str,
    attempts: Mapping[str, str],
    signature: Signature | None,
) -> AssetState:
    """The state of an asset that isn't done, after the last run for it failed, if it did."""
    failure = None if state.state in ("done", "gone") else failures.get(asset, {}).get(key)
    if failure is None:
        return state
    return AssetState(
        "failed", failure.reason, state.created, failed_as_before=failure.would_repeat(attempts, signature)
    )


def _created(manifest: Manifest | None) -> str:
    return manifest.created if manifest else ""
