"""Asset checks: each reads back what was stored and says what it saw and what it expected.

Each is evaluated for every partition of a run. What a check returns in a batch Dagster takes for no partition: it lists
each video's verdict, and fails if one fails, naming it.
"""

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial

import dagster as dg
import numpy as np

from clip_assets.advice import PLATFORM, explain
from clip_assets.core.errors import ClipAssetsError, VideoError
from clip_assets.core.records import ClipFeatures, VideoProbe
from clip_assets.core.soundness import (
    Finding,
    feature_findings,
    frame_findings,
    longest_identical_stretch,
    match_findings,
    shot_findings,
)
from clip_assets.core.video import decode
from clip_assets.orchestration.dagster_internals import log_evaluations
from clip_assets.orchestration.io_managers import StoredBytes
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.resources import VideoLibrary, video_library_of
from clip_assets.results.parameters import feature_parameters
from clip_assets.results.summaries import FrameSummary

SAME_PICTURE = 2.0
"""Mean absolute difference of two pictures, of 255, up to which they show the same."""


def build_checks(names: LibraryNames, partitions: dg.PartitionsDefinition[str]) -> list[dg.AssetChecksDefinition]:
    """The checks of all assets of a library, evaluated for each of these partitions."""

    def frames_follow_sampling(
        context: dg.AssetCheckExecutionContext, frame_indices: StoredBytes
    ) -> dg.AssetCheckResult:
        """Sample times increase strictly; frame indices and source times never decrease and lie within the video.

        There are as many samples as the sampling says.
        """
        return _evaluate(context, frame_indices, partial(_of_frames, frame_indices, video_library_of(context, names)))

    def features_are_sound(
        context: dg.AssetCheckExecutionContext, clip_features: StoredBytes, frame_indices: StoredBytes
    ) -> dg.AssetCheckResult:
        """A finite feature for each frame, with norms that are usual for the model; stored bytes match their SHA-256.

        Many frames have the same feature only where their pictures are the same.
        """
        library = video_library_of(context, names)
        return _evaluate(context, clip_features, partial(_of_features, clip_features, frame_indices, library))

    def shots_are_sound(
        context: dg.AssetCheckExecutionContext, shots: StoredBytes, clip_features: StoredBytes
    ) -> dg.AssetCheckResult:
        """Each sample is in one shot, in order; each mean is that of its samples, the video's vector that of all."""
        return _evaluate(context, shots, lambda key: shot_findings(shots[key], clip_features[key]))

    def probabilities_are_sound(context: dg.AssetCheckExecutionContext, text_match: StoredBytes) -> dg.AssetCheckResult:
        """Probabilities are what their score makes of logits; the columns are the sentences that were asked for."""
        return _evaluate(context, text_match, lambda key: match_findings(text_match[key], text_match.parameters(key)))

    library = {names("library")}
    # The asset, what is looked at, which others' results it takes besides, and which resources.
    rows: list[tuple[str, Callable[..., dg.AssetCheckResult], list[str], set[str]]] = [
        ("frame_indices", frames_follow_sampling, [], library),
        ("clip_features", features_are_sound, ["frame_indices"], library),
        ("shots", shots_are_sound, ["clip_features"], set()),
        ("text_match", probabilities_are_sound, [], set()),
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Specifying a partitions_def on an AssetCheckSpec")
        return [
            dg.asset_check(
                asset=names.key(asset),
                additional_ins=names.ins(*others),
                required_resource_keys=resources,
                partitions_def=partitions,
                description=inspect.getdoc(check),
            )(check)
            for asset, check, others, resources in rows
        ]


def _of_frames(frame_indices: StoredBytes, library: VideoLibrary, key: str) -> Iterator[Finding]:
    frames, made = frame_indices[key], frame_indices.parameters(key)
    end_ms: float | None = frames.duration_ms
    if made["frame_selection"] == "ffmpeg":
        end_ms = _packets_end_ms(library.probe(key)) if _is_the_same(key, library, made["source"]) else None
    yield from frame_findings(frames, made, end_ms)


def _of_features(
    clip_features: StoredBytes, frame_indices: StoredBytes, library: VideoLibrary, key: str
) -> Iterator[Finding]:
    features, made = clip_features[key], clip_features.parameters(key)
    belongs = feature_parameters(frame_indices.parameters(key), {}).items() <= made.items()
    belongs &= made.get("frames_sha256") in (None, FrameSummary.read(frame_indices.summary(key)).frames_sha256)
    yield from feature_findings(features, len(frame_indices[key].indices) if belongs else None)
    yield from _frozen(key, features, library, made["source"])


def _is_the_same(key: str, library: VideoLibrary, source: str) -> bool:
    """Whether the video is there, and the one that a result was made from."""
    try:
        return library.fingerprint(key) == source
    except VideoError:
        return False


def _packets_end_ms(video: VideoProbe) -> float:
    """When the last packet ends, which ffmpeg's selection goes by."""
    return float(video.packets_end_pts * video.time_base * 1000)


def _frozen(key: str, features: ClipFeatures, library: VideoLibrary, source: str) -> Iterator[Finding]:
    """Whether the pictures of frames that share a feature differ: then a decoder has repeated one of them."""
    stretch = longest_identical_stretch(features)
    if stretch is None or not _is_the_same(key, library, source):
        return
    first, last = stretch
    pictures, video = [], library.probe(key)
    with library.held(key):
        for index in (first, (first + last) // 2, last):  # each by a decoder of its own
            with decode(video, np.array([index]), on_damage="keep", timeout_seconds=library.video_timeout) as stream:
                pictures += [frame.rgb.astype(np.int16) for frame in stream]
    difference = max((float(np.abs(picture - pictures[0]).mean()) for picture in pictures), default=0.0)
    yield Finding(
        f"difference of the pictures of frames {first} to {last}, which share a feature",
        f"{difference:.2f} of 255",
        f"at most {SAME_PICTURE:g}",
        difference <= SAME_PICTURE,
    )


def _evaluate(
    context: dg.AssetCheckExecutionContext, results: StoredBytes, look: Callable[[str], Iterable[Finding]]
) -> dg.AssetCheckResult:
    """The evaluation of a run's one partition; of several each is logged, and what they come to is returned."""
    found = {key: _result(_look(key, look)) for key in results}
    if len(found) == 1:
        return next(iter(found.values()))
    log_evaluations(context, found)
    wrong = {key: result.description or "" for key, result in found.items() if not result.passed}
    reasons = [f"{key}: {reason}" for key, reason in wrong.items()]
    return dg.AssetCheckResult(
        passed=not wrong,
        description="\n".join([f"{len(wrong)} of {len(found)} videos are not as expected.", *reasons]),
        metadata={"findings": _table({"video": key, "verdict": wrong.get(key, "as expected")} for key in found)},
    )


def _result(findings: Sequence[Finding]) -> dg.AssetCheckResult:
    """What the findings on one partition come to."""
    wrong = _wrong(findings)
    rows = _table({**asdict(finding), "holds": "yes" if finding.holds else "no"} for finding in findings)
    return dg.AssetCheckResult(passed=not wrong, description=wrong or "As expected.", metadata={"findings": rows})


def _table(rows: Iterable[Mapping[str, str]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows])


def _look(key: str, look: Callable[[str], Iterable[Finding]]) -> list[Finding]:
    """The findings on one partition; bytes that can't be read as they were written are one too."""
    try:
        return list(look(key))
    except ClipAssetsError as error:
        return [Finding("stored result", explain(error, PLATFORM), "a whole one", holds=False)]


def _wrong(findings: Iterable[Finding]) -> str:
    """What isn't as expected; empty if all is."""
    return "; ".join(
        f"{finding.what}: {finding.seen}, expected {finding.expected}" for finding in findings if not finding.holds
    )
