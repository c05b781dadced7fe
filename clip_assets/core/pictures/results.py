"""Which pictures each result has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.model.family import SAME_SHOT_COSINE
from clip_assets.core.picture import Picture
from clip_assets.core.pictures.analysis import changes, self_similarity, spread, strongest
from clip_assets.core.pictures.plots import COLOURS, change_plot, probability_plot, similarity_plot
from clip_assets.core.pictures.sheets import MAX_THUMBNAILS, contact_sheet, enlarged, thumbnails
from clip_assets.core.shots import cuts
from clip_assets.core.video import DEFAULT_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from PIL.Image import Image

    from clip_assets.core.records import ClipFeatures, FrameIndices, Shots, TextMatch, VideoProbe

MAX_SENTENCES = len(COLOURS)
MAX_CUTS = 12
_SIMILARITY_CELLS = 128


def sampled_frames(
    video: VideoProbe, frames: FrameIndices, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
) -> Picture:
    """A contact sheet of the sampled frames: the time and the index of each.

    Args:
        video: The video.
        frames: The sampled frames.
        timeout_seconds: The longest that one read may take.

    Raises:
        VideoError: The video isn't there any more, or reading takes too long.
    """
    shown = spread(len(frames.indices), MAX_THUMBNAILS)
    pictures = thumbnails(video, np.unique(frames.indices[shown]), timeout_seconds)
    cells = [
        (pictures.get(int(frames.indices[row])), (f"{frames.timestamps_ms[row] / 1000:.2f} s, #{frames.indices[row]}",))
        for row in shown
    ]
    first, last = frames.timestamps_ms[shown[[0, -1]]] / 1000
    alt = (
        f"Contact sheet: {len(shown)} of the {len(frames.indices)} sampled frames, from {first:.2f} s to {last:.2f} s, "
        "each with its time and its frame index."
    )
    return Picture("contact_sheet.jpg", contact_sheet(cells), alt)


def similarity_over_time(features: ClipFeatures) -> Picture:
    """The cosine of every sampled frame with every other."""
    matrix, starts = self_similarity(features.clip, _SIMILARITY_CELLS)
    low, high = np.nanmin(matrix), np.nanmax(matrix)
    alt = (
        f"Heat map: cosine of every sampled frame with every other over {_seconds(features)[-1]:.2f} s, from "
        f"{low:.3f} to {high:.3f}. Bright squares along the diagonal are stretches that look alike."
    )
    return Picture("self_similarity.png", similarity_plot(matrix, _edges(_seconds(features), starts)), alt)


def change_over_time(features: ClipFeatures, same_shot_cosine: float = SAME_SHOT_COSINE) -> Picture:
    """1 - cosine of each sampled frame with the one before; the cuts are marked."""
    change, seconds = changes(features.clip), _seconds(features)[1:]
    marked = cuts(features.clip, MAX_CUTS, same_shot_cosine) - 1
    when = ", ".join(f"{second:.2f} s" for second in seconds[marked]) or "none"
    alt = f"Line plot: change from each sampled frame to the next. Cuts: {when}."
    return Picture("change.png", change_plot(seconds, change, marked), alt)


def probabilities_over_time(match: TextMatch) -> Picture:
    """The probability of the strongest sentences at each sample, and where they compete, of all others together."""
    chosen = strongest(match, MAX_SENTENCES)
    lines = [(match.texts[place], match.probabilities[:, place]) for place in chosen]
    has_others = match.score_kind == "softmax" and len(chosen) < len(match.texts)
    others = 1.0 - match.probabilities[:, chosen].sum(axis=1) if has_others else None
    means = ", ".join(f"{place + 1}: {text} ({line.mean():.0%})" for place, (text, line) in enumerate(lines))
    alt = (
        f"Line plot: probability ({match.score_kind}) over time of the {len(chosen)} strongest of "
        f"{len(match.texts)} sentences. "
        f"Their means: {_cut(means)}."
    )
    return Picture("probabilities.png", probability_plot(match.timestamps_ms / 1000, lines, others), alt)


def best_frames(kept: Mapping[int, Image], match: TextMatch, indices: NDArray[np.int64]) -> Picture:
    """A contact sheet of the frame that matches best, for each of the strongest sentences.

    Args:
        kept: Pictures of sampled frames by frame index, at least one; the best is chosen among them.
        match: The video's match.
        indices: int64 (T,), the frame of each row of the match.
    """
    rows = np.flatnonzero(np.isin(indices, list(kept)))
    cells, told = [], []
    for number, place in enumerate(strongest(match, MAX_SENTENCES), start=1):
        row = rows[match.probabilities[rows, place].argmax()]
        words = f"{match.probabilities[row, place]:.1%} at {match.timestamps_ms[row] / 1000:.2f} s"
        cells.append((enlarged(kept[int(indices[row])]), (f"{number}: {match.texts[place]}", words)))
        told.append(f"{match.texts[place]} ({words})")
    count = len(np.unique(indices))
    among = f", among {len(kept)} of the {count} encoded frames," if len(kept) < count else ""
    alt = f"Contact sheet: the best frame{among} of each of the {len(told)} strongest sentences: "
    return Picture("best_frames.jpg", contact_sheet(cells), f"{alt}{_cut(', '.join(told))}.")


def typical_frames(kept: Mapping[int, Image], shots: Shots, indices: NDArray[np.int64]) -> Picture:
    """A contact sheet of the most typical frame of each shot, of many shots of some, evenly spread.

    Args:
        kept: Pictures of sampled frames by frame index, at least one; where the frame of a shot isn't among them, the
            nearest one stands for it.
        shots: The video's, at least one.
        indices: int64 (T,), the frame of each row of its features.
    """
    shown = spread(len(shots.first_rows), MAX_THUMBNAILS)
    known = np.array(sorted(kept))
    cells = []
    for place in shown:
        nearest = known[np.abs(known - indices[shots.typical_rows[place]]).argmin()]
        words = f"{shots.from_ms[place] / 1000:.2f} to {shots.to_ms[place] / 1000:.2f} s"
        cells.append((enlarged(kept[int(nearest)]), (words,)))
    alt = (
        f"Contact sheet: the most typical frame of {len(shown)} of the {len(shots.first_rows)} shots, each with the "
        "time that its shot takes."
    )
    return Picture("typical_frames.jpg", contact_sheet(cells), alt)


def _seconds(features: ClipFeatures) -> NDArray[np.float64]:
    return features.timestamps_ms / 1000


def _edges(seconds: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where each group of samples begins, and where the last ends: a usual gap after the last sample."""
    gap = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 1.0
    return np.append(seconds[starts], seconds[-1] + gap)


def _cut(words: str) -> str:
    return words if len(words) <= 600 else words[:599] + "…"
