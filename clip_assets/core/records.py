"""What passes between the stages: frozen records of numpy arrays, every field with its shape, dtype and unit."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ScoreKind = Literal["softmax", "sigmoid"]
"""What makes probabilities of a model's logits, see `core.model.score.Score`: sentences compete, or each stands for
itself."""


@dataclass(frozen=True)
class SourceStat:
    """A video's file as it was when its fingerprint was taken: while all of it stays, nobody need read it again.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last modification, nanoseconds since 1970; 0 where ``etag`` is told.
        etag: What an object store calls this content (an ETag, a generation), if it does.
    """

    size: int
    mtime_ns: int
    etag: str = ""


@dataclass(frozen=True)
class Crop:
    """Pixels to leave out at the sides of a stored picture, before it is turned.

    Attributes:
        left: Columns.
        top: Rows.
        right: Columns.
        bottom: Rows.
    """

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


@dataclass(frozen=True, eq=False)
class VideoProbe:
    """What a container says of its video, read by demuxing, without decoding where times allow it.

    Attributes:
        path: The file.
        container: The container format's short name, as FFmpeg gives it (``mov,mp4,m4a,3gp,3g2,mj2``).
        codec: The codec's short name (``h264``).
        width: Pixels of a decoded frame, after crop and rotation; whatever their shape.
        height: Pixels of a decoded frame, after crop and rotation.
        rotation: Degrees, 0, 90, 180 or 270, by which a decoded picture is turned clockwise to stand upright.
        pts: int64 (F,), presentation time of each frame in ticks of ``time_base``, strictly increasing,
            the first at 0.
        end_pts: Ticks at which the last frame leaves the screen; greater than ``pts[-1]``.
        packets_end_pts: Ticks at which the last packet ends, which is what ffmpeg's filters go by; some containers
            state another end.
        start_pts: The container's own time stamp of the first frame, in ticks; what was subtracted from ``pts``.
        time_base: Seconds of one tick, exact.
        fps: Frames per second, the source's average rate.
        has_edit_list: Whether the container holds frames that are never on screen (packets marked discard).
        keyframes: int64 (K,), ascending indices of the frames that the container marks as key frames. Empty where
            packets don't tell each frame's time: then decoding told it, and order alone says which frame is which.
        damage: What the container itself shows to be missing; empty for a whole file.
        end_is_known: Whether the container tells where it ends; where it doesn't, a file that was cut between two
            packets looks whole.
        lost_before: int64 (G,), ascending indices of the frames before which others are lost, as far as times tell, and
            F for those after the last; empty where nothing is lost but what comes behind all frames.
        stream_index: Which of the file's streams this is about: the one that a player shows.
        video_streams: Indices of all its video streams, ascending; attached pictures don't count.
        sample_aspect_ratio: How many times as wide as high a pixel is shown, after rotation.
        crop: What the container wants to be left out; what the codec does is left out already.
        colours: Which matrix its colours are decoded by, and whether the stream says so, in words.
        tone_map: Of an HDR picture, which transfer function is mapped to SDR by which curve; empty for SDR.
        times_are_assumed: Whether the file is a bare stream, without a container that tells times: then frames follow
            each other at the rate that the codec's parameters give, or at 25 a second.
    """

    path: Path
    container: str
    codec: str
    width: int
    height: int
    rotation: int
    pts: NDArray[np.int64]
    end_pts: int
    packets_end_pts: int
    start_pts: int
    time_base: Fraction
    fps: float
    has_edit_list: bool
    keyframes: NDArray[np.int64]
    damage: str = ""
    end_is_known: bool = True
    lost_before: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    stream_index: int = 0
    video_streams: tuple[int, ...] = (0,)
    sample_aspect_ratio: Fraction = Fraction(1)
    crop: Crop = Crop()
    colours: str = ""
    tone_map: str = ""
    times_are_assumed: bool = False

    @property
    def treatment(self) -> dict[str, str | int]:
        """What is done so that the picture is the one that a player shows, as plain JSON values.

        Empty where the pixels of the file's first video stream are that picture, or are once they are turned by its
        display matrix: features of such a video don't depend on this.
        """
        done: dict[str, str | int] = {}
        if self.stream_index != self.video_streams[0]:
            done["stream"] = self.stream_index
        if self.sample_aspect_ratio != 1:
            done["sample_aspect_ratio"] = "{}:{}".format(*self.sample_aspect_ratio.as_integer_ratio())
        if self.crop != Crop():
            done["crop"] = ", ".join(f"{pixels} {side}" for side, pixels in asdict(self.crop).items())
        if self.tone_map:
            done["tone_map"] = self.tone_map
        return done

    @property
    def frame_count(self) -> int:
        """Number of frames on screen, F."""
        return len(self.pts)

    @property
    def timestamps_ms(self) -> NDArray[np.float64]:
        """float64 (F,), presentation time of each frame in milliseconds, the first at 0."""
        return ticks_to_ms(self.pts, self.time_base)

    @property
    def duration_ms(self) -> float:
        """Milliseconds from the first frame's appearance to the last one's end."""
        return float(self.end_pts * self.time_base * 1000)


@dataclass(frozen=True, eq=False)
class FrameIndices:
    """Which frames of a video are sampled, and when.

    Attributes:
        indices: int64 (T,), 0-based in presentation order of the source, never decreasing.
        timestamps_ms: float64 (T,), the sample's time, strictly increasing.
        source_timestamps_ms: float64 (T,), when that frame is on screen, the first frame of the video at 0.
        fps: The source's average rate, frames per second.
        frame_count: Frames of the source.
        width: Pixels of the source, after rotation.
        height: Pixels of the source, after rotation.
        duration_ms: Milliseconds to the end of the source's last frame.
    """

    indices: NDArray[np.int64]
    timestamps_ms: NDArray[np.float64]
    source_timestamps_ms: NDArray[np.float64]
    fps: float
    frame_count: int
    width: int
    height: int
    duration_ms: float


@dataclass(frozen=True, eq=False)
class ClipFeatures:
    """One CLIP feature per sampled frame.

    Attributes:
        clip: float32 (T, D), the image encoder's raw output, not normalised.
        timestamps_ms: float64 (T,), the sample's time.
        source_timestamps_ms: float64 (T,), when the encoded frame is on screen.
        indices: int64 (T,), the encoded frame, 0-based in presentation order of the source.
        fps: The source's average rate, frames per second.
        model_name: The model's name, as in ``ViT-B/32``.
        weights_sha256: The model's identity, 64 hexadecimal digits, see `core.model.family.Family.sha256`.
        damage: Empty for a whole video; else what is missing from a damaged one that was kept on request.
    """

    clip: NDArray[np.float32]
    timestamps_ms: NDArray[np.float64]
    source_timestamps_ms: NDArray[np.float64]
    indices: NDArray[np.int64]
    fps: float
    model_name: str
    weights_sha256: str
    damage: str = ""


@dataclass(frozen=True, eq=False)
class TextMatch:
    """How well each sampled frame matches each sentence.

    Attributes:
        texts: (N,), the sentences, in the order given.
        probabilities: float64 (T, N), of the logits; with ``softmax`` over the sentences rows sum to 1, with
            ``sigmoid`` each stands for itself.
        logits: float64 (T, N), logit scale times cosine, plus the model's bias where it has one.
        timestamps_ms: float64 (T,), the sample's time.
        score_kind: What made the probabilities; those of one kind aren't to be compared with those of the other.
    """

    texts: tuple[str, ...]
    probabilities: NDArray[np.float64]
    logits: NDArray[np.float64]
    timestamps_ms: NDArray[np.float64]
    score_kind: ScoreKind = "softmax"


@dataclass(frozen=True, eq=False)
class Shots:
    """Stretches of a video's rows that look alike, in order; together they cover all rows.

    Attributes:
        means: float16 (S, D), the mean of the shot's unit features, itself of norm 1.
        first_rows: int64 (S,), the shot's first row in the features.
        last_rows: int64 (S,), its last row.
        from_ms: float64 (S,), midway to the sample before; 0 for the first shot.
        to_ms: float64 (S,), midway to the sample after; the video's duration for the last shot.
        typical_rows: int64 (S,), the row that is most like the shot's mean.
        video: float16 (D,), the mean of all unit features, itself of norm 1.
    """

    means: NDArray[np.float16]
    first_rows: NDArray[np.int64]
    last_rows: NDArray[np.int64]
    from_ms: NDArray[np.float64]
    to_ms: NDArray[np.float64]
    typical_rows: NDArray[np.int64]
    video: NDArray[np.float16]


class Record(Protocol):
    """What an asset stores of a video: a frozen dataclass of arrays, numbers and words."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


def ticks_to_ms(ticks: NDArray[np.int64], time_base: Fraction) -> NDArray[np.float64]:
    """Ticks of ``time_base`` to float64 milliseconds, right to the last place.

    Args:
        ticks: int64, any shape.
        time_base: Seconds of one tick.
    """
    numerator = 1000 * time_base.numerator
    return np.asarray(ticks, dtype=np.int64) * numerator / time_base.denominator
