"""Is a stored result what it claims to be? Pure functions that say what they saw and what they expected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.matching import text_parameters
from clip_assets.core.model.score import Score
from clip_assets.core.records import ClipFeatures, FrameIndices, Shots, TextMatch
from clip_assets.core.shots import unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

USUAL_NORMS: Mapping[str, tuple[float, float]] = {"ViT-B/32": (5.0, 20.0)}
"""L2 norms of a model's features, with a margin: on a real video of 355 frames ViT-B/32's were 9.7 to 11.2."""

ANY_NORMS = (0.01, 1000.0)
"""The same for models of which less is known: outside, weights or numbers have gone wrong."""

FROZEN_FRAMES = 5
"""So many different frames with the very same feature are worth a look at their pictures."""

_TOLERANCE = 1e-9
_FLOAT16_TOLERANCE = 2e-3
_ROUNDING = 4e-15


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: Its name.
        seen: What it is.
        expected: What it should be.
        holds: Whether it is so.
    """

    what: str
    seen: str
    expected: str
    holds: bool


def frame_findings(frames: FrameIndices, parameters: Mapping[str, Any], end_ms: float | None) -> Iterator[Finding]:
    """Look at the sampled frames of a video.

    Args:
        frames: As stored.
        parameters: What they were made with, see `Sampling.parameters`.
        end_ms: The end that the sampling goes by, in ms: the last frame's, or for ffmpeg's selection the last packet's;
            None where that isn't known any more, and the number of samples can't be told.
    """
    lengths = {len(frames.timestamps_ms), len(frames.source_timestamps_ms), len(frames.indices)}
    expected = None if end_ms is None else _sample_count(frames, parameters, end_ms)
    yield Finding(
        "samples",
        " and ".join(map(str, sorted(lengths))),
        "as many as times" if expected is None else str(expected),
        len(lengths) == 1 if expected is None else lengths == {expected},
    )
    latest = math.inf if end_ms is None else max(end_ms, frames.duration_ms)
    yield _within("sample times (ms)", frames.timestamps_ms, 0.0, latest, strictly=True)
    yield _within("frame indices", frames.indices, 0, frames.frame_count - 1, strictly=False)
    yield _within("source times (ms)", frames.source_timestamps_ms, 0.0, frames.duration_ms, strictly=False)


def feature_findings(features: ClipFeatures, sampled: int | None) -> Iterator[Finding]:
    """Look at the features of a video.

    Args:
        features: As stored.
        sampled: Number of frames that were to be encoded; None where that isn't known any more.
    """
    rows = len(features.clip)
    lengths = {len(features.indices), len(features.timestamps_ms), len(features.source_timestamps_ms)}
    whole = sampled is None or rows == sampled or (0 < rows < sampled and bool(features.damage))
    expected = "one a frame" if sampled is None else f"{sampled}, one a frame"
    yield Finding("rows", f"{rows}", expected, lengths == {rows} and rows > 0 and whole)
    broken = np.flatnonzero(~np.isfinite(features.clip).all(axis=1))
    yield Finding("rows that aren't finite", f"{len(broken)} {broken[:3].tolist()}", "0", len(broken) == 0)
    norms = np.linalg.norm(features.clip.astype(np.float64), axis=1)
    low, high = USUAL_NORMS.get(features.model_name, ANY_NORMS)
    seen = f"{norms.min():.4g} to {norms.max():.4g}" if rows else "none"
    holds = bool(((norms >= low) & (norms <= high)).all())
    yield Finding(f"norms of {features.model_name}", seen, f"{low:g} to {high:g}", holds)


def longest_identical_stretch(features: ClipFeatures) -> tuple[int, int] | None:
    """First and last frame of the longest stretch of different frames with one feature, if ``FROZEN_FRAMES`` long."""
    if len(features.clip) != len(features.indices) or len(features.clip) < FROZEN_FRAMES:
        return None
    _, first = np.unique(features.indices, return_index=True)
    rows, indices = features.clip[first], features.indices[first]
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)])
    lengths = np.diff(np.r_[starts, len(rows)])
    longest = int(lengths.argmax())
    if lengths[longest] < FROZEN_FRAMES:
        return None
    return int(indices[starts[longest]]), int(indices[starts[longest] + lengths[longest] - 1])


def match_findings(match: TextMatch, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    """Look at the probabilities of a video.

    Args:
        match: As stored.
        parameters: What they were made with, see `text_parameters`.
    """
    yield _softmax_finding(match) if match.score_kind == "softmax" else _sigmoid_finding(match)
    shape = (len(match.timestamps_ms), parameters["texts"])
    shapes = {match.probabilities.shape, match.logits.shape, (len(match.timestamps_ms), len(match.texts))}
    yield Finding("frames x sentences", " and ".join(map(str, sorted(shapes))), str(shape), shapes == {shape})
    sentences = text_parameters(match.texts)["texts_sha256"]
    yield Finding(
        "SHA-256 of the sentences", str(sentences), parameters["texts_sha256"], sentences == parameters["texts_sha256"]
    )


def _softmax_finding(match: TextMatch) -> Finding:
    sums = match.probabilities.sum(axis=1)
    furthest = float(sums[np.abs(sums - 1).argmax()]) if len(sums) else math.nan
    return Finding("row sum furthest from 1", f"{furthest!r}", "1.0", bool(np.abs(furthest - 1) <= _TOLERANCE))


def _sigmoid_finding(match: TextMatch) -> Finding:
    what, expected = "probability furthest from the sigmoid of its logit", f"at most {_TOLERANCE:g} away"
    if match.probabilities.shape != match.logits.shape or not match.probabilities.size:
        return Finding(what, "none", expected, False)
    apart = np.abs(match.probabilities - Score(1.0, kind="sigmoid").probabilities(match.logits))
    return Finding(what, f"{apart.max():.2g} away", expected, bool(apart.max() <= _TOLERANCE))


def shot_findings(shots: Shots, features: ClipFeatures) -> Iterator[Finding]:
    """Look at the shots of a video.

    Args:
        shots: As stored.
        features: What they were made of.
    """
    rows, count = len(features.clip), len(shots.first_rows)
    lengths = {len(part) for part in (shots.means, shots.last_rows, shots.from_ms, shots.to_ms, shots.typical_rows)}
    yield Finding("shots", f"{count}", "1 or more, each with all there is of it", lengths == {count} and count > 0)
    begin, end = np.append(shots.first_rows, rows), np.insert(shots.last_rows + 1, 0, 0)
    whole = len(begin) == len(end) and bool((begin == end).all() and (np.diff(begin) > 0).all())
    covered = int((shots.last_rows - shots.first_rows + 1).sum())
    yield Finding("rows in shots", f"{covered}", f"each of {rows} in one, in order", whole)
    yield _within("shot times (ms)", np.insert(shots.to_ms, 0, 0.0), 0.0, math.inf, strictly=True)
    joined = lengths == {count} and bool((shots.from_ms == np.insert(shots.to_ms[:-1], 0, 0.0)[:count]).all())
    yield Finding("shots that begin where the one before ends", "all" if joined else "not all", "all", joined)
    if not whole or lengths != {count}:
        return
    unit = unit_rows(features.clip)
    typical = bool(((shots.first_rows <= shots.typical_rows) & (shots.typical_rows <= shots.last_rows)).all())
    yield Finding("typical rows", "inside" if typical else "outside of their shots", "inside", typical)
    means = unit_rows(np.add.reduceat(unit, shots.first_rows, axis=0))
    for what, stored, expected in (
        ("a shot's mean", shots.means, means),
        ("the video's vector", shots.video, unit_rows(unit.sum(axis=0))),
    ):
        apart = float(np.abs(stored - expected).max()) if stored.shape == expected.shape else math.inf
        fits = apart <= _FLOAT16_TOLERANCE
        yield Finding(f"{what}: furthest from that of its rows", f"{apart:.2g}", f"{_FLOAT16_TOLERANCE:g}", fits)


def _within(what: str, values: NDArray[Any], low: float, high: float, *, strictly: bool) -> Finding:
    """A finding on numbers that shouldn't decrease (or should increase strictly) between two bounds."""
    steps = np.diff(values)
    ordered = bool((steps > 0).all() if strictly else (steps >= 0).all())
    seen = f"{values[0]:g} to {values[-1]:g}" if len(values) else "none"
    if not ordered:
        at = int(np.flatnonzero(steps <= 0 if strictly else steps < 0)[0])
        seen += f", {values[at]:g} and then {values[at + 1]:g} at sample {at + 1}"
    order = "strictly increasing" if strictly else "never decreasing"
    inside = bool(len(values) and values.min() >= low and values.max() <= high)
    return Finding(what, seen, f"{order}, from {low:g} to at most {high:g}", ordered and inside)


def _sample_count(frames: FrameIndices, parameters: Mapping[str, Any], end_ms: float) -> int:
    """Number of samples by the sampling table."""
    rate = parameters["extraction_fps"]
    if rate is None:
        return int(parameters["extraction_total"] or frames.frame_count)
    exact = rate * end_ms / 1000
    if parameters["frame_selection"] == "ffmpeg":
        return math.floor(_snapped(exact + 0.5))
    return math.ceil(_snapped(exact))


def _snapped(value: float) -> float:
    """The whole number of which the value is but the rounding, if it is."""
    nearest = round(value)
    return nearest if abs(value - nearest) <= _ROUNDING * max(1.0, value) else value
