"""What a score is worth: the probability of a sentence, beside others that could as well be meant. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.shots import unit_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from clip_assets.core.model.score import Score
    from clip_assets.core.records import ScoreKind

SAME_MEANING = 0.95
"""Sentences whose features have a cosine of so much mean the same, and don't compete."""


@dataclass(frozen=True)
class Likelihood:
    """How a frame goes with a sentence.

    Attributes:
        probability: Of the sentence: against its competitors with ``softmax``, by itself with ``sigmoid``.
        score_kind: Which of them.
        fits_better: The competitor that is likelier than the sentence; empty where none is.
    """

    probability: float
    score_kind: ScoreKind
    fits_better: str = ""


def likelihoods(
    features: ArrayLike, sentence: ArrayLike, others: Sequence[str], other_features: ArrayLike, score: Score
) -> list[Likelihood]:
    """The probability of a sentence for each frame, and the competitor that is likelier, by the model's score.

    Args:
        features: float (T, D), the frames'.
        sentence: float (D,), the sentence's.
        others: N sentences; those that mean the same as the sentence don't compete.
        other_features: float (N, D), theirs.
        score: The model's.
    """
    frames, asked, theirs = unit_rows(features), unit_rows(sentence), unit_rows(other_features)
    competing = np.flatnonzero(theirs @ asked < SAME_MEANING)
    texts = np.vstack([asked[None], theirs[competing]])
    probabilities = score.probabilities(score.logits(frames @ texts.T))
    best = probabilities.argmax(axis=1)
    return [
        Likelihood(float(row[0]), score.kind, "" if place == 0 else others[competing[place - 1]])
        for row, place in zip(probabilities, best, strict=True)
    ]
