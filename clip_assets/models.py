"""Every model by its name: the families there are, the models that come with this package, and whose a name is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_assets.core.errors import ModelError
from clip_assets.core.model.family import SAME_SHOT_COSINE, USUAL_TEMPLATE
from clip_assets.core.model.open_clip.family import open_clip_family
from clip_assets.core.model.openai.family import openai_family
from clip_assets.demo import demo_checkpoint, sigmoid_demo

if TYPE_CHECKING:
    from pathlib import Path

    from clip_assets.core.model.clip_model import ClipModel, Precision
    from clip_assets.core.model.family import Family

FAMILIES: tuple[Family, ...] = (
    openai_family({"demo": demo_checkpoint()}),
    open_clip_family({"open_clip:demo": sigmoid_demo()}),
)
"""A name is for the first that knows it."""


def model_names() -> tuple[str, ...]:
    """The models to offer, of all families."""
    return tuple(name for family in FAMILIES for name in family.model_names)


def is_model(name: str) -> bool:
    """Whether any family knows a model of that name."""
    return any(family.knows(name) for family in FAMILIES)


def family_of(name: str) -> Family:
    """The family of a model.

    Raises:
        ModelError: There is no such model; the message lists those to choose from.
    """
    for family in FAMILIES:
        if family.knows(name):
            return family
    raise ModelError(f"There is no model {name!r}. Available: {', '.join(model_names())}.")


def model_sha256(name: str, checkpoint: str | Path | None = None) -> str:
    """A model's identity, 64 hexadecimal digits; known without loading it.

    Raises:
        ModelError: Unknown name, or a file that isn't there.
        ModelAbsentError: It must be downloaded before its identity is known, see `fetch_model`.
    """
    return family_of(name).sha256(name, checkpoint)


def weights_are_here(name: str, *, folder: str | Path) -> bool:
    """Whether loading model ``name`` downloads nothing; ``folder`` is where weights are downloaded to."""
    return family_of(name).is_here(name, folder)


def fetch_model(name: str, checkpoint: str | Path | None = None) -> str:
    """A model's identity, as `model_sha256`, once what it is a digest of is here: downloaded where it must be.

    Raises:
        ModelError: Unknown name, a file that isn't there, or can't be downloaded.
    """
    family = family_of(name)
    family.fetch(name)
    return family.sha256(name, checkpoint)


def same_shot_cosine(name: str) -> float:
    """Below which cosine to the shot so far a feature opens a new one; the usual one if nobody knows the model."""
    return family_of(name).same_shot_cosine if is_model(name) else SAME_SHOT_COSINE


def template_of(name: str) -> str:
    """What makes a sentence of a class's name, as in ``a photo of {}``; the usual one if nobody knows the model."""
    return family_of(name).template if is_model(name) else USUAL_TEMPLATE


def load_model(
    name: str,
    *,
    checkpoint: str | Path | None = None,
    weights_folder: str | Path,
    device: str = "cpu",
    precision: Precision = "fp32",
) -> ClipModel:
    """Load CLIP by name.

    Args:
        name: Of a model that a family knows.
        checkpoint: The file of a model whose family takes one, or its URL; no other model takes one.
        weights_folder: Where published weights are, or are downloaded to.
        device: Where to compute, as torch names it.
        precision: Of weights and arithmetic. Weights of other precision are converted, fp32 ones are kept otherwise.

    Raises:
        ModelError: Unknown name or precision, weights that can't be had, or a file that isn't a CLIP checkpoint.
    """
    return family_of(name).load(name, checkpoint, weights_folder, device, precision)
