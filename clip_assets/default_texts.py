"""The sentences that are matched when none are asked for."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from clip_assets.demo import demo_sentences


@cache
def kinetics400_classes() -> tuple[str, ...]:
    """The 400 class names of Kinetics-400, in its labels' order (alphabetical)."""
    return tuple((files("clip_assets") / "kinetics400.txt").read_text(encoding="utf-8").splitlines())


def default_texts(model_name: str) -> tuple[str, ...]:
    """The sentences matched when none are asked for.

    The demo model's own sentences for it, else "a photo of {class}" for each class of Kinetics-400.
    """
    if model_name == "demo":
        return demo_sentences()
    return tuple(f"a photo of {name}" for name in kinetics400_classes())
