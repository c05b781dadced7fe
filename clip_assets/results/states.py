"""The truth about each video, from the manifests: what is stored, and whether it is what the settings ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from clip_assets.core.errors import ClipAssetsError, PartitionKeyError
from clip_assets.core.library.keys import validate_key
from clip_assets.core.library.signatures import Signature, stat_of
from clip_assets.core.library.source import VideoSource
from clip_assets.core.model.devices import expected_precision
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import Manifest
from clip_assets.models import family_of
from clip_assets.results.assets import PER_VIDEO, Wish, wanted_parameters
from clip_assets.results.failure import Failure
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
from clip_assets.results.summaries import FrameSummary
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
        manifest: Of what is stored; None where nothing is.
        differing: Where it is stale, in what; see `staleness`.
        failed_as_before: Whether it failed, and neither its file nor the settings have changed since.
    """

    state: State
    reason: str = ""
    manifest: Manifest | None = None
    differing: Differing = field(default_factory=dict)
    failed_as_before: bool = False


@dataclass(frozen=True)
class VideoStatus:
    """What is stored of one video.

    Attributes:
        key: Its partition key.
        assets: The state of each asset, by the asset's name; whoever comes later depends on those before.
    """

    key: str
    assets: Mapping[str, AssetState]

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

    @property
    def _worst(self) -> AssetState:
        return min(self.assets.values(), key=lambda asset: _WORST_FIRST.index(asset.state))


def video_states(settings: LibrarySettings, keys: Sequence[str], failures: Failures) -> Iterator[VideoStatus]:
    """The state of each video.

    A video whose file has the size and time that were noted when its fingerprint was taken is not read. That is meant
    for whoever shows states; the assets read it.

    Args:
        settings: The deployment's.
        keys: Partition keys.
        failures: As `instance.failures` gives them.

    Raises:
        LibraryUnreadableError: The library's folder can't be listed, as when a disk isn't mounted.
    """
    source = settings.source
    source.check_listable()
    store = Store(settings.output)
    on_gpus = family_of(settings.model_name).gpu_precision
    precision = expected_precision(settings.precision, settings.device_ids, on_gpus)
    encoding = encoding_parameters(model_parameters(settings, precision), settings.pipeline_options)
    texts = wanted_texts(settings)
    attempts = attempt_digests(settings)
    signatures = source.signatures(keys)
    for key in keys:
        manifests = {asset: store.manifest(asset, key) for asset in PER_VIDEO}
        signature = signatures[key]
        if signature is None and _is_gone(source, key):
            yield VideoStatus(key, {asset: AssetState("gone", "", found) for asset, found in manifests.items()})
            continue
        content = _content(source, key, signature, list(filter(None, manifests.values())))
        frames = frame_parameters(content, settings.sampling)
        wanted = wanted_parameters(Wish(frames, encoding, texts, partial(_of_frames, frames, manifests, store)))
        states = {}
        for asset, manifest in manifests.items():
            failure = failures.get(asset, {}).get(key)
            as_before = failure is not None and failure.would_repeat(attempts, signature)
            states[asset] = _state(manifest, wanted[asset], failure, as_before)
        yield VideoStatus(key, states)


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


def _state(manifest: Manifest | None, wanted: Parameters, failure: Failure | None, as_before: bool) -> AssetState:
    differing = differences(manifest.parameters if manifest else {}, wanted)
    if manifest is not None and not differing:
        return AssetState("done", manifest=manifest)
    if failure is not None:
        return AssetState("failed", failure.reason, manifest, failed_as_before=as_before)
    if manifest is None:
        return AssetState("missing")
    return AssetState("stale", "; ".join(in_words(differing)), manifest, differing)
