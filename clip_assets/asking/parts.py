"""What a question asks for, as sentences and vectors with their weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.search.encoding import QueryEncoder
from clip_assets.core.search.likelihood import Likelihood, likelihoods
from clip_assets.core.search.queries import NOT_WEIGHT, checked_sentence, split_weight, weighted_sum
from clip_assets.core.search.search import Found
from clip_assets.default_texts import default_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Picture = str | Path | bytes | Image

Part = tuple["NDArray[np.floating]", float]
"""A vector that is asked for, and its weight."""


def sentence_parts(encoder: QueryEncoder, sentences: Sequence[tuple[str, float]]) -> list[Part]:
    """The vectors of sentences."""
    if not sentences:
        return []
    features, _ = encoder.sentences([words for words, _ in sentences])
    return [(feature, weight) for feature, (_, weight) in zip(features, sentences, strict=True)]


def picture_part(encoder: QueryEncoder, picture: Picture) -> Part:
    """The vector of a picture, or of a picture's path, which may carry a weight."""
    weight = 1.0
    if isinstance(picture, str) and not Path(picture).exists():
        picture, weight = split_weight(picture)
    return encoder.picture(picture), weight


def likelihoods_of(
    encoder: QueryEncoder, model: str, sentence: str, moments: Sequence[Found]
) -> list[Likelihood] | list[None]:
    """How likely a sentence is for each moment, beside the model's default ones."""
    if not moments:
        return []
    others = default_texts(model)
    features, score = encoder.sentences([sentence, *others])
    of_moments = [moment.feature for moment in moments]
    return likelihoods(of_moments, features[0], others, features[1:], score)


def asked_sentences(
    sentence: str | None, text: str | Sequence[str], without: str | Sequence[str]
) -> list[tuple[str, float]]:
    """The sentences of a question with their weights, the one that was asked plainly first."""
    plain = [(checked_sentence(sentence), 1.0)] if sentence is not None else []
    asked = [_weighted_sentence(words, 1.0) for words in several(text)]
    return plain + asked + [_weighted_sentence(words, NOT_WEIGHT) for words in several(without)]


def sum_of(parts: Sequence[Part]) -> NDArray[np.float64]:
    """One vector of all that is asked for."""
    return weighted_sum([part for part, _ in parts], [weight for _, weight in parts])


def _weighted_sentence(words: str, weight: float) -> tuple[str, float]:
    sentence, weight = split_weight(words, weight)
    return checked_sentence(sentence), weight


def several(given: object) -> list:
    """What was given, one or several, as a list."""
    return list(given) if isinstance(given, list | tuple) else [given]
