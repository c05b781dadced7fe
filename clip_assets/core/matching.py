"""How well frames match sentences: CLIP features in, probabilities out. Pure numpy, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.digests import digest
from clip_assets.core.errors import MatchingError
from clip_assets.core.records import TextMatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from clip_assets.core.model.score import Score

MATCHING_VERSION = 1
"""Raise it with every change after which a probability or a logit of the same features and sentences comes out another
by more than rounding. Matches of other versions are then stale. Results of version 1 don't tell it."""


@dataclass(frozen=True)
class Stretch:
    """A longest run of sampled frames that match the same sentence best.

    Attributes:
        from_ms: Time of its first sample.
        to_ms: Time of the next stretch's first sample; where no stretch follows, the video's end.
        text: The sentence; of equally good ones the first.
        probability: Mean over its samples of that sentence's probability.
    """

    from_ms: float
    to_ms: float
    text: str
    probability: float


def match_texts(
    features: ArrayLike, text_features: ArrayLike, score: Score, texts: Sequence[str], timestamps_ms: ArrayLike
) -> TextMatch:
    """The probability that each frame goes with each sentence, by the model's score of cosines, in float64.

    Args:
        features: float (T, D), image features, of any length but zero.
        text_features: float (N, D), N >= 1, text features, of any length but zero.
        score: The model's.
        texts: The N sentences, in the order of ``text_features``.
        timestamps_ms: float (T,), the samples' times.

    Raises:
        MatchingError: Shapes that don't fit together, no sentence, or a feature without a direction: zero or not
            finite.
    """
    frames, sentences = np.asarray(features, dtype=np.float64), np.asarray(text_features, dtype=np.float64)
    times = np.asarray(timestamps_ms, dtype=np.float64)
    if frames.ndim != 2 or sentences.ndim != 2 or frames.shape[1] != sentences.shape[1] or not len(sentences):
        raise MatchingError(
            f"features of shape {frames.shape} can't be matched with text features of shape {sentences.shape}. "
            "Give (T, D) and (N, D) with N >= 1 and one D: both from the same model."
        )
    if len(texts) != len(sentences) or times.shape != (len(frames),):
        raise MatchingError(
            f"got {len(texts)} texts for {len(sentences)} text features, and timestamps_ms of shape {times.shape} for "
            f"{len(frames)} features. Give one text a text feature and one time a feature."
        )
    logits = score.logits(_normalize(frames, "frame") @ _normalize(sentences, "text").T)
    return TextMatch(tuple(texts), score.probabilities(logits), logits, times, score.kind)


def text_parameters(texts: Sequence[str]) -> dict[str, int | str]:
    """What a match depends on beside the features, as plain JSON values.

    That is the number of sentences, a digest of them in order, and ``MATCHING_VERSION`` from 2 on.
    """
    version = {"matching_version": MATCHING_VERSION} if MATCHING_VERSION > 1 else {}
    return {"texts": len(texts), "texts_sha256": digest({"texts": list(texts)}), **version}


def stretches(match: TextMatch, duration_ms: float = 0.0) -> list[Stretch]:
    """The longest runs of frames with the same best sentence, in order of time; empty where there are no frames.

    Args:
        match: Of a video.
        duration_ms: Where the video ends; before the last sample, where nobody knows, that sample's time counts.
    """
    best = match.probabilities.argmax(axis=1).tolist()
    times = match.timestamps_ms.tolist()
    ends = [*times[1:], max(times[-1], duration_ms)] if times else []
    runs = [(text_index, list(rows)) for text_index, rows in groupby(range(len(best)), key=best.__getitem__)]
    return [
        Stretch(
            from_ms=times[rows[0]],
            to_ms=ends[rows[-1]],
            text=match.texts[text_index],
            probability=match.probabilities[rows, text_index].mean().item(),
        )
        for text_index, rows in runs
    ]


def format_predictions(video_number: int, match: TextMatch) -> Iterator[str]:
    """The lines that video_features prints for a video: its sentences, then each frame's probabilities in full.

    ::

        Video #0: a dog smiles | a man is lifting
        frame 0: [0.987789807340838, 0.012210192659162062]
    """
    yield f"Video #{video_number}: {' | '.join(match.texts)}"
    for sample_index, probabilities in enumerate(match.probabilities):
        yield f"frame {sample_index}: {probabilities.tolist()}"


def _normalize(vectors: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    """Each row divided by its L2 norm."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    without_direction = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if len(without_direction):
        first = without_direction[0]
        raise MatchingError(
            f"the feature of {what} {first} has the norm {norms[first, 0]} and so no direction to compare; "
            f"{len(without_direction)} of {len(vectors)} are zero or not finite. "
            "Look at the model's weights and its precision, and encode again."
        )
    return vectors / norms
