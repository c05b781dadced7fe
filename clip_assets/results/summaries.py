"""Summaries of stored results: what manifests keep of each so that it is shown without being read, and their versions.

What an older version stored lacks the newer values, and what a newer one stored has more: the first are None, which
means unknown, and the others are left out. So every manifest is shown, whichever version wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from clip_assets.core.matching import Stretch
from clip_assets.core.records import ScoreKind

SUMMARY_VERSION = 4
"""Of the summaries that are written. Raise it where a value comes, goes or changes its meaning, and let `Summary.read`
turn the old meaning into the new one. Version 1, which stored no number, told of no treatment and of no stream; up to
version 2 the last stretch of a match ended with the last sample, which is shown as it is; up to version 3 every score
was a softmax, and none was told."""


class Summary(BaseModel):
    """What the summaries have in common.

    Attributes:
        version: The `SUMMARY_VERSION` that it was written with.
        frames: Rows of the result: sampled frames.
        seconds: Time that it took.
        frames_per_second: Rows for each of these seconds.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    frames: int | None = None
    seconds: float | None = None
    frames_per_second: float | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """The summary that a manifest keeps; None for each value that it doesn't tell."""
        try:
            return cls.model_validate(stored)
        except ValidationError as error:
            odd = {detail["loc"][0] for detail in error.errors()}
            return cls.model_validate({name: value for name, value in stored.items() if name not in odd})

    def to_store(self) -> dict[str, Any]:
        """The plain JSON values that `read` makes the summary of."""
        return {**self.model_dump(mode="json"), "version": SUMMARY_VERSION}


class FrameSummary(Summary):
    """Of `FrameIndices`.

    Attributes:
        frames_sha256: Digest of which frames were chosen, their times and the rate; see `parameters.frames_sha256`.
        treatment: What is done so that the picture is the one that a player shows, see `VideoProbe.treatment`.
        source_frames: Frames of the video.
        fps: The video's average rate, frames per second.
        duration_seconds: To the end of the video's last frame.
        size: Width and height in pixels, upright, as in ``320 x 240``.
        colours: Which matrix its colours are decoded by, and whether the video says so, in words.
        rotation: Degrees clockwise by which a decoded picture is turned.
        codec: As FFmpeg calls it.
        container: As FFmpeg calls it.
        video_stream: Which of the file's video streams it is about, counted from 1.
        video_streams: How many there are.
        end_is_known: Whether the container tells where it ends.
        times_are_assumed: Whether the file tells no times, see `VideoProbe.times_are_assumed`.
        frame_spacing: How far the video's frames are apart, in words.
    """

    frames_sha256: str | None = None
    treatment: dict[str, Any] | None = None
    source_frames: int | None = None
    fps: float | None = None
    duration_seconds: float | None = None
    size: str | None = None
    colours: str | None = None
    rotation: int | None = None
    codec: str | None = None
    container: str | None = None
    video_stream: int | None = None
    video_streams: int | None = None
    end_is_known: bool | None = None
    times_are_assumed: bool | None = None
    frame_spacing: str | None = None


class FeatureSummary(Summary):
    """Of `ClipFeatures`.

    Attributes:
        feature_width: Numbers in a feature.
        fps: The video's average rate, frames per second.
        model: The model's name.
        weights_sha256: SHA-256 of its weights.
        device: Where it ran: the device, or several with commas between them.
        precision: Its number format.
        decoder: The decoder's name.
        damage: What is missing of a damaged video, or ``none``.
        decode_seconds: Time spent decoding, by all threads together.
        preprocess_seconds: Time spent preprocessing, by all threads together.
        encode_seconds: Time spent encoding.
        norms: Least, mean and greatest L2 norm of the features.
        change: How much each frame differs from the one before, drawn with characters.
        cuts_seconds: Times at which that stands out.
    """

    feature_width: int | None = None
    fps: float | None = None
    model: str | None = None
    weights_sha256: str | None = None
    device: str | None = None
    precision: str | None = None
    decoder: str | None = None
    damage: str | None = None
    decode_seconds: float | None = None
    preprocess_seconds: float | None = None
    encode_seconds: float | None = None
    norms: tuple[float, float, float] | None = None
    change: str | None = None
    cuts_seconds: tuple[float, ...] | None = None


class ShotStretch(NamedTuple):
    """A shot, for people: from and to in ms, and how many samples it has."""

    from_ms: float
    to_ms: float
    rows: int


class ShotSummary(Summary):
    """Of `Shots`.

    Attributes:
        shots: Number of shots.
        stretches: The first of them.
    """

    shots: int | None = None
    stretches: tuple[ShotStretch, ...] = ()


class MatchSummary(Summary):
    """Of `TextMatch`.

    Attributes:
        texts: Number of sentences.
        stretches: The first stretches.
        stretch_count: Number of stretches in all.
        lines: Of the strongest sentences: the sentence, its probability over time drawn with characters, its peak, and
            the peak's time in seconds.
        score_kind: What made the probabilities.
    """

    texts: int | None = None
    stretches: tuple[Stretch, ...] = ()
    stretch_count: int | None = None
    lines: tuple[tuple[str, str, float, float], ...] = ()
    score_kind: ScoreKind = "softmax"
