"""The sentences that are matched when none are asked for."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from clip_assets.demo import DEMO_MODELS, demo_sentences
from clip_assets.models import template_of


@cache
def kinetics400_classes() -> tuple[str, ...]:
    """The 400 class names of Kinetics-400, in its labels' order (alphabetical)."""
    return tuple((files("clip_assets") / "kinetics400.txt").read_text(encoding="utf-8").splitlines())


def default_texts(model_name: str) -> tuple[str, ...]:
    """The sentences matched when none are asked for.

    The demo models' own sentences for these, else each class of Kinetics-400 in the template of the model's family.
    """
    if model_name in DEMO_MODELS:
        return demo_sentences()
    template = template_of(model_name)
    return tuple(template.format(name) for name in kinetics400_classes())


def subject(text: str, model_name: str) -> str:
    """What a sentence is about, where it is the template of the model's family with something in it; else all of it."""
    before, _, after = template_of(model_name).partition("{}")
    return text.removeprefix(before).removesuffix(after)
