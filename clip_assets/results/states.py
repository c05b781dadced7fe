"""The truth about each video, from the manifests: what is stored, and whether it is what the settings ask for."""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import Any

from clip_assets.core.digests import digest
from clip_assets.core.library.listing import Listing
from clip_assets.core.library.signatures import Signature
from clip_assets.core.library.source import VideoSource
from clip_assets.core.user_cache import user_cache_folder
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.comparers import Comparers, Signed
from clip_assets.results.failure import Failure
from clip_assets.results.known_states import KnownStates
from clip_assets.results.parameters import Unknown
from clip_assets.results.staleness import in_words
from clip_assets.results.versions import attempt_digests
from clip_assets.results.video_status import AssetState, VideoStatus
from clip_assets.settings import LibrarySettings

Failures = Mapping[str, Mapping[str, Failure]]
"""Why the last run failed, by asset and partition key; see `instance.failures`."""


def video_states(
    settings: LibrarySettings,
    keys: Sequence[str],
    failures: Failures,
    *,
    listing: Listing | None = None,
    processes: int = 1,
) -> Iterator[VideoStatus]:
    """The state of each video.

    A video whose file has the size and time that were noted when its fingerprint was taken is not read. That is meant
    for whoever shows states; the assets read it. Of very many videos those are not compared again that are as they were
    when they were compared last on this machine.

    Args:
        settings: The deployment's.
        keys: Partition keys.
        failures: As `instance.failures` gives them.
        listing: Of the library, if it has just been looked at: of what is there, files aren't asked for again.
        processes: How many may compare at once, where there is enough for them to do. More than one is for programs
            whose main module can be imported, see `multiprocessing`.

    Raises:
        LibraryUnreadableError: The library's folder can't be listed, as when a disk isn't mounted.
    """
    attempts = attempt_digests(settings)
    signatures = _signatures(settings.source, keys, listing)
    with closing(Comparers(settings, processes)) as comparers:
        for video in chain.from_iterable(_compared(comparers, [(key, signatures[key]) for key in keys])):
            if video.state in ("done", "gone"):
                yield video
                continue
            failed = {asset: found[video.key] for asset, found in failures.items() if video.key in found}
            yield _after_failures(video, failed, attempts, signatures[video.key]) if failed else video


def _signatures(source: VideoSource, keys: Sequence[str], listing: Listing | None) -> Mapping[str, Signature | None]:
    """As `VideoSource.signatures`."""
    if listing is None:
        source.check_listable()
        return source.signatures(keys)
    listed = {video.key: video.signature for video in listing.videos}
    return {**source.signatures([key for key in keys if key not in listed]), **listed}


def _compared(comparers: Comparers, videos: Sequence[Signed]) -> Iterator[Iterable[VideoStatus]]:
    """What is stored of each of these videos, of many at a time, while the next are being compared."""
    known = _Known(comparers) if len(videos) >= _MANY and comparers.token else None
    identities = known.identities(videos) if known else repeat(())
    of_videos = zip(videos, identities, strict=False)
    under_way: deque[Callable[[], Iterable[VideoStatus]]] = deque()
    while together := list(islice(of_videos, _TOGETHER)):
        asked, stored = zip(*together, strict=True)
        under_way.append(known.begin(asked, stored) if known else comparers.begin(asked))
        if len(under_way) > comparers.at_once:
            yield under_way.popleft()()
    while under_way:
        yield under_way.popleft()()


_MANY = 256
"""Videos from which on it is remembered what was found out: with fewer, comparing takes as long as remembering."""

_TOGETHER = 1000
"""Videos whose manifests are read at once."""


class _Known:
    """Compares what isn't as it was when it was compared last on this machine, and remembers what came of it."""

    def __init__(self, comparers: Comparers) -> None:
        self._comparers = comparers
        where = digest({"output": str(comparers.store.root)})[:32]
        self._states = KnownStates(user_cache_folder() / "states" / f"{where}.sqlite")
        self._rows = self._states.read()

    def identities(self, videos: Sequence[Signed]) -> Iterator[Sequence[str | None]]:
        """What tells the results of each of these videos from all others."""
        return self._comparers.store.many.identities(list(PER_VIDEO), [key for key, _ in videos])

    def begin(
        self, videos: Sequence[Signed], identities: Sequence[Sequence[str | None]]
    ) -> Callable[[], Iterator[VideoStatus]]:
        """As `Comparers.begin`."""
        tokens = {
            key: _token(self._comparers.token, signature, stored)
            for (key, signature), stored in zip(videos, identities, strict=True)
        }
        others = [video for video in videos if self._rows.get(video[0], (b"", ""))[0] != tokens[video[0]]]
        finish = self._comparers.begin(others)

        def compared() -> Iterator[VideoStatus]:
            found = {video.key: video for video in finish()}
            told = {key: _told(video) for key, video in found.items()}
            self._states.write({key: (tokens[key], text) for key, text in told.items() if text})
            return (found.get(video[0]) or self._remembered(video) for video in videos)

        return compared

    def _remembered(self, video: Signed) -> VideoStatus:
        """As it was told; compared all the same where that can't be read."""
        key, _ = video
        try:
            return _read(key, self._rows[key][1])
        except (TypeError, ValueError):
            return self._comparers.begin([video])()[0]


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


def _after_failures(
    video: VideoStatus, failed: Mapping[str, Failure], attempts: Mapping[str, str], signature: Signature | None
) -> VideoStatus:
    """A video after the last runs for some of its assets failed; what is done all the same has not."""
    states = dict(video.assets)
    for asset, failure in failed.items():
        if states[asset].state != "done":
            states[asset] = AssetState(
                "failed",
                failure.reason,
                states[asset].created,
                failed_as_before=failure.would_repeat(attempts, signature),
            )
    return replace(video, assets=states)
