"""Which frames of a video are sampled, and when: presentation times in, frame indices out. Pure and exact.

Times compare as rationals, never as floats: a frame's time is its pts times the container's time base, a sample's
time is a multiple of a rational step. Each time becomes a float once, at the end.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from clip_assets.core.errors import SamplingError
from clip_assets.core.records import FrameIndices, VideoProbe

if TYPE_CHECKING:
    from numpy.typing import NDArray

FrameSelection = Literal["on_screen", "ffmpeg"]

SAMPLING_VERSION = 2
"""Raise it with every change after which a frame, a time, the rate or `VideoProbe.treatment` of any video comes out
otherwise, here or in reading containers. Frame indices of other versions are then stale, which is cheap to mend;
features only where what they take from the frames did come out otherwise. Results of version 1 don't tell it."""

MAX_SAMPLES = 10_000_000
"""Most samples that ``extraction_fps`` may ask for of one video: 46 hours at 60 fps."""

_MAX_RATE_DENOMINATOR = 1_001_000
"""The largest denominator of a rate that ffmpeg reads."""
_MAX_INT64 = 2**63 - 1
_MAX_EXACT_FLOAT = 2**53


@dataclass(frozen=True)
class Sampling:
    """Which frames are asked for: every frame, ``extraction_fps`` samples a second, or ``extraction_total`` in all.

    Attributes:
        extraction_fps: Samples per second, finite and above 0; below 1 and above the source's rate are allowed.
            Excludes ``extraction_total``.
        extraction_total: Samples in all, evenly spaced from the first frame on, at least 1.
        frame_selection: With ``extraction_fps``, the frame for the sample at k/F seconds: ``on_screen``, the last one
            with time <= k/F; ``ffmpeg``, the one that ffmpeg's ``fps=F`` filter emits. Else without effect.

    Raises:
        SamplingError: A value that is not allowed, or both options at once.
    """

    extraction_fps: float | None = None
    extraction_total: int | None = None
    frame_selection: FrameSelection = "on_screen"

    def __post_init__(self) -> None:
        if self.extraction_fps is not None and self.extraction_total is not None:
            raise SamplingError(
                f"extraction_fps={self.extraction_fps!r} and extraction_total={self.extraction_total!r} exclude "
                "each other. Set one of them, or neither for every frame."
            )
        if self.extraction_fps is not None and not _is_rate(self.extraction_fps):
            raise SamplingError(
                f"extraction_fps={self.extraction_fps!r} is not allowed. Give frames per second as a finite number "
                "above 0 (0.5 is one frame in two seconds), or leave it unset for every frame."
            )
        if self.extraction_total is not None and not _is_count(self.extraction_total):
            raise SamplingError(
                f"extraction_total={self.extraction_total!r} is not allowed. Give a whole number of frames from 1 on, "
                "or leave it unset for every frame."
            )
        if self.frame_selection not in get_args(FrameSelection):
            raise SamplingError(
                f"frame_selection={self.frame_selection!r} is not known. "
                f"Choose one of: {', '.join(get_args(FrameSelection))}."
            )

    @property
    def rate(self) -> Fraction | None:
        """``extraction_fps`` as the exact rational that its user means, or None.

        That is the decimal number as written, so 23.976 is 23976/1000; but where a fraction of a denominator up to
        1001000, ffmpeg's limit, has the very same float, that fraction: 30000/1001 = 29.97002997002997 stays NTSC's
        rate, and its grid falls on the frames of an NTSC video instead of beside them.
        """
        if self.extraction_fps is None:
            return None
        written = Fraction(str(self.extraction_fps))
        simple = written.limit_denominator(_MAX_RATE_DENOMINATOR)
        return simple if float(simple) == self.extraction_fps else written

    @property
    def parameters(self) -> dict[str, float | int | str | None]:
        """What the sample depends on, JSON-ready: equal for samplings that give the same frames by definition."""
        return {
            "sampling_version": SAMPLING_VERSION,
            "extraction_fps": None if self.extraction_fps is None else float(self.extraction_fps),
            "extraction_total": self.extraction_total,
            "frame_selection": None if self.extraction_fps is None else self.frame_selection,
        }


def sample(probe: VideoProbe, sampling: Sampling) -> FrameIndices:
    """Choose the frames of ``probe`` that ``sampling`` asks for.

    With D the end of the last frame, row k is:

    - every frame: frame k, at its own time;
    - ``extraction_fps`` F, ``on_screen``: at k/F for every k/F < D, the last frame with time <= k/F;
    - ``extraction_fps`` F, ``ffmpeg``: at k/F for k < round(E F), the last frame with round(time F) <= k, rounding
      half up. This is libavfilter's vf_fps with its defaults (``round=near``, ``eof_action=round``), fed the first
      frame at 0 and the end of stream at E, where the last packet ends;
    - ``extraction_total`` N: at k D/N for k < N, the last frame with time <= k D/N.

    Raises:
        SamplingError: More than ``MAX_SAMPLES`` samples, an ``extraction_total`` of more than the video's frames, or
            a video so short that ffmpeg's filter emits no frame.
    """
    rate = sampling.rate
    if rate is not None and sampling.frame_selection == "ffmpeg":
        return _sample_as_ffmpeg(probe, rate)
    if rate is not None:
        step = 1 / (rate * probe.time_base)
        count = math.ceil(probe.end_pts / step)
        _check_count(probe, count)
        return _sample_on_screen(probe, step, count)
    if sampling.extraction_total is not None:
        if sampling.extraction_total > probe.frame_count:
            raise SamplingError(
                f"{probe.path} has {probe.frame_count} frames, extraction_total asks for "
                f"{sampling.extraction_total}. Ask for at most as many as there are, or set extraction_fps, "
                "which repeats frames where it must."
            )
        step = Fraction(probe.end_pts, sampling.extraction_total)
        return _sample_on_screen(probe, step, sampling.extraction_total)
    return _frame_indices(probe, np.arange(probe.frame_count, dtype=np.int64), probe.timestamps_ms)


def _sample_on_screen(probe: VideoProbe, step: Fraction, count: int) -> FrameIndices:
    """At each multiple of ``step`` ticks the frame on screen; an integer pts is <= a time where it is <= its floor."""
    indices = np.searchsorted(probe.pts, _floor_multiples(count, step), side="right") - 1
    return _frame_indices(probe, indices, _float_multiples(count, step * probe.time_base * 1000))


def _sample_as_ffmpeg(probe: VideoProbe, rate: Fraction) -> FrameIndices:
    scale = probe.time_base * rate
    count = math.floor(probe.packets_end_pts * scale + Fraction(1, 2))
    _check_count(probe, count)
    if count == 0:
        raise SamplingError(
            f"{probe.path} lasts {probe.duration_ms:.1f} ms, of which ffmpeg's filter emits no frame at "
            f"{float(rate):g} fps. Set frame_selection to on_screen, which always has the first frame, or a "
            "higher extraction_fps."
        )
    slots = _round_half_up(probe.pts, scale)
    indices = np.searchsorted(slots, np.arange(count), side="right") - 1
    return _frame_indices(probe, indices, _float_multiples(count, 1000 / rate))


def _frame_indices(probe: VideoProbe, indices: NDArray[np.int64], timestamps_ms: NDArray[np.float64]) -> FrameIndices:
    return FrameIndices(
        indices=indices,
        timestamps_ms=timestamps_ms,
        source_timestamps_ms=probe.timestamps_ms[indices],
        fps=probe.fps,
        frame_count=probe.frame_count,
        width=probe.width,
        height=probe.height,
        duration_ms=probe.duration_ms,
    )


def _check_count(probe: VideoProbe, count: int) -> None:
    if count > MAX_SAMPLES:
        raise SamplingError(
            f"{probe.path} lasts {probe.duration_ms / 1000:.1f} s, for which extraction_fps asks for {count} samples; "
            f"at most {MAX_SAMPLES} are allowed. Set a lower extraction_fps."
        )


def _floor_multiples(count: int, step: Fraction) -> NDArray[np.int64]:
    """int64 (count,), floor(k step) for k = 0, 1 ...; in Python's integers where int64 would overflow."""
    numerator, denominator = step.as_integer_ratio()
    if count * numerator <= _MAX_INT64 and denominator <= _MAX_INT64:
        return np.arange(count, dtype=np.int64) * numerator // denominator
    return np.array([k * numerator // denominator for k in range(count)], dtype=np.int64)


def _float_multiples(count: int, step: Fraction) -> NDArray[np.float64]:
    """float64 (count,), k step for k = 0, 1 ..., each the float nearest to the exact product."""
    numerator, denominator = step.as_integer_ratio()
    if count * numerator <= _MAX_EXACT_FLOAT and denominator <= _MAX_EXACT_FLOAT:
        return np.arange(count, dtype=np.int64) * numerator / denominator
    return np.array([k * numerator / denominator for k in range(count)], dtype=np.float64)


def _round_half_up(pts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
    """int64 (F,), floor(pts scale + 1/2) of pts >= 0; in Python's integers where int64 would overflow."""
    numerator, denominator = (2 * scale.numerator, 2 * scale.denominator)
    largest = (int(pts[-1]) + 1) * numerator + denominator  # every operand and result below stays under it
    if largest <= _MAX_INT64:
        return (pts * numerator + scale.denominator) // denominator
    return np.array([(p * numerator + scale.denominator) // denominator for p in pts.tolist()], dtype=np.int64)


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
