"""What stands beside a player: a video's curves over time, its shots, what is stored of it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.browse.charts import across, area
from clip_assets.browse.holdings import FRAMES
from clip_assets.core.errors import ResultCorruptError, ResultMissingError
from clip_assets.core.search.queries import Place
from clip_assets.default_texts import subject
from clip_assets.results.summaries import FrameSummary, MatchSummary

if TYPE_CHECKING:
    from clip_assets.asking.answers import Moment, Scores
    from clip_assets.asking.library import Library
    from clip_assets.core.picture import Picture
    from clip_assets.core.records import ScoreKind
    from clip_assets.core.store import Store

_MOST_SENTENCES, _LEAST = 8, 0.005
_MOST_SHOTS = 36
_USUAL_SIZE = (640, 360)


@dataclass(frozen=True)
class Mark:
    """A moment on a timeline.

    Attributes:
        moment: The moment.
        x: Where it begins on the drawing's width.
        width: How wide it is there.
        is_played: Whether it is the one that is played.
    """

    moment: Moment
    x: float
    width: float
    is_played: bool


@dataclass(frozen=True)
class Timeline:
    """The score over a whole video.

    Attributes:
        path: Of the drawing.
        duration_ms: Where the video ends.
        first_ms: The first sample of the moment that is played.
        low: The score at the drawing's bottom.
        high: The score at its top.
        marks: The moments.
    """

    path: str
    duration_ms: float
    first_ms: float
    low: float
    high: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Sentence:
    """A stored sentence's probability over a whole video.

    Attributes:
        text: The sentence.
        path: Of the drawing, from 0 at the bottom to 1 at the top.
        peak: Its highest probability.
        peak_ms: When that is.
        score_kind: What made the probability.
    """

    text: str
    path: str
    peak: float
    peak_ms: float
    score_kind: ScoreKind


@dataclass(frozen=True)
class Shot:
    """A stretch of a video that looks alike: the times of its first, its last and its typical sample, in ms."""

    first_ms: float
    last_ms: float
    typical_ms: float


def timeline(scores: Scores, moments: Sequence[Moment], played: Place) -> Timeline:
    """The score over a video whose moments these are."""
    low, high = float(scores.scores.min(initial=0.0)), float(scores.scores.max(initial=1e-3))
    duration_ms = max(scores.duration_ms, float(scores.times_ms.max(initial=0.0)))
    path = area(scores.times_ms, scores.scores, duration_ms, low, high)
    inside = scores.times_ms[(scores.times_ms >= played.from_ms) & (scores.times_ms <= played.to_ms)]
    first_ms = float(inside[0]) if len(inside) else played.from_ms
    marks = tuple(_mark(moment, duration_ms, played) for moment in moments)
    return Timeline(path, duration_ms, first_ms, low, high, marks)


def _mark(moment: Moment, duration_ms: float, played: Place) -> Mark:
    begin, end = across(moment.from_ms, duration_ms), across(moment.to_ms, duration_ms)
    is_played = moment.from_ms - 1 <= played.from_ms < max(moment.to_ms, moment.from_ms + 1)
    return Mark(moment, begin, max(end - begin, 3.0), is_played)


def picture_size(store: Store, key: str) -> tuple[int, int]:
    """Width and height of a video as a player shows it, in pixels; usual ones where they aren't known."""
    manifest = store.manifest(FRAMES, key)
    summary = FrameSummary.read(manifest.summary) if manifest else FrameSummary()
    numbers = re.fullmatch(r"([0-9]{1,6}) x ([0-9]{1,6})", summary.size or "")
    if numbers is None or not int(numbers[1]) or not int(numbers[2]):
        return _USUAL_SIZE
    width, height = int(numbers[1]), int(numbers[2])
    aspect = re.fullmatch(r"([0-9]{1,6}):([0-9]{1,6})", str((summary.treatment or {}).get("sample_aspect_ratio", "")))
    if aspect and int(aspect[2]):
        width = max(1, round(width * int(aspect[1]) / int(aspect[2])))
    return width, height


def drawn_size(picture: Picture) -> tuple[int, int]:
    """Width and height of a stored picture, in pixels; 0 where it is none."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture.data)) as opened:
            return opened.size
    except OSError:
        return 0, 0


def shots(library: Library, key: str) -> list[Shot]:
    """A video's shots, or as many of them as there is room for; none where no features can be read."""
    try:
        found, features = library.shots(key), library.features(key)
    except (ResultMissingError, ResultCorruptError):
        return []
    count = len(found.first_rows)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_SHOTS)).round().astype(int)).tolist()
    times = features.timestamps_ms
    return [
        Shot(*(float(times[rows[one]]) for rows in (found.first_rows, found.last_rows, found.typical_rows)))
        for one in chosen
    ]


def examples(store: Store, keys: Sequence[str]) -> list[str]:
    """What can be asked and is there: the stored sentence that goes best with each of these videos."""
    manifests = [manifest for key in keys if (manifest := store.manifest("text_match", key))]
    best = [
        subject(line[0], str(manifest.parameters.get("model_name", "")))
        for manifest in manifests
        for line in MatchSummary.read(manifest.summary).lines[:1]
    ]
    return list(dict.fromkeys(best))


def sentences(store: Store, key: str, duration_ms: float) -> list[Sentence]:
    """The stored sentences that go best with a video at any time, the best first, without those that never do."""
    manifest = store.manifest("text_match", key)
    if manifest is None or not manifest.arrays["timestamps_ms"].shape[0]:
        return []
    count = manifest.arrays["timestamps_ms"].shape[0]
    with suppress(ResultMissingError, ResultCorruptError):
        (probabilities,) = store.rows(manifest, "probabilities", [(0, count)])
        (times,) = store.rows(manifest, "timestamps_ms", [(0, count)])
        (texts,) = store.rows(manifest, "texts", [(0, probabilities.shape[1])])
        peaks = probabilities.max(axis=0)
        best = [one for one in np.argsort(-peaks, kind="stable")[:_MOST_SENTENCES].tolist() if peaks[one] >= _LEAST]
        duration_ms = max(duration_ms, float(times[-1]))
        return [
            Sentence(
                str(texts[one]),
                area(times, probabilities[:, one], duration_ms, 0.0, 1.0),
                float(peaks[one]),
                float(times[probabilities[:, one].argmax()]),
                MatchSummary.read(manifest.summary).score_kind,
            )
            for one in best
        ]
    return []
