"""What differs between kinds of CLIP, behind one face."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from clip_assets.core.model.clip_model import ClipModel, Precision
    from clip_assets.core.records import ScoreKind


SAME_SHOT_COSINE = 0.9
"""A feature whose cosine to the mean of the shot so far is below opens a new shot, that is a cut, unless a family says
another."""

USUAL_TEMPLATE = "a photo of {}"
"""What makes a sentence of a class's name, unless a family says another."""


@dataclass(frozen=True)
class Offer:
    """A model that can be had, and what is known of it before that.

    Attributes:
        name: Its name.
        feature_width: Numbers in a feature, D; None where only its file says it.
        resolution: Pixels of a side of the pictures that it takes; None as before.
        score_kind: What makes its probabilities; None as before.
        is_here: Whether loading it downloads nothing.
    """

    name: str
    feature_width: int | None
    resolution: int | None
    score_kind: ScoreKind | None
    is_here: bool


@dataclass(frozen=True)
class Family:
    """Models that are had, loaded and asked alike. What is said here is known before a model is loaded.

    A loaded `ClipModel` says the rest: its preprocessing, its tokenizer with the length that it takes, its score.

    Attributes:
        name: In lower case, as the UI shows it.
        model_names: Those to name in an error, or the forms that names have.
        offers: All that can be named, given the folder of weights. Raises ModelError where a package is missing.
        knows: Whether a name is one of its models; a family may know more than it offers, such as paths.
        takes_checkpoint: Whether a model's weights are a file that the user names.
        fetch: Downloads the files that a model's `sha256` needs, given its name, where it needs any. Raises ModelError
            where they can't be had.
        sha256: The identity of a model, given its name and checkpoint: a digest of all that its features depend on,
            64 hexadecimal digits. Raises ModelError where a file isn't there, ModelAbsentError where `fetch` gets it.
        is_here: Whether loading a model downloads nothing, given its name and the folder of weights.
        load: A model on its device, given its name, its checkpoint, the folder of weights, the device and the
            precision. Raises ModelError for what can't be had, isn't CLIP's, or isn't to be computed so.
        preprocessing: Names in data versions how pictures are prepared; another name for every change of pixels.
        gpu_precision: What its models compute in on GPUs where nobody said it.
        template: What makes a sentence of a class's name, for the sentences that are matched when none are asked for.
        same_shot_cosine: A frame whose cosine to the mean of the shot so far is below opens a new shot.
        language_note: What to tell who asks in other languages than the models read; empty where they read any.
    """

    name: str
    model_names: tuple[str, ...]
    offers: Callable[[str | Path], Iterable[Offer]]
    knows: Callable[[str], bool]
    takes_checkpoint: Callable[[str], bool]
    fetch: Callable[[str], object]
    sha256: Callable[[str, str | Path | None], str]
    is_here: Callable[[str, str | Path], bool]
    load: Callable[[str, str | Path | None, str | Path, str, Precision], ClipModel]
    preprocessing: str
    gpu_precision: Precision
    template: str
    same_shot_cosine: float
    language_note: str
