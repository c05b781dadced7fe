"""The class names that make the default sentences."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def kinetics400_classes() -> tuple[str, ...]:
    """The 400 class names of Kinetics-400, in its labels' order (alphabetical)."""
    return tuple((files("clip_assets.core") / "kinetics400.txt").read_text(encoding="utf-8").splitlines())


def default_texts() -> tuple[str, ...]:
    """The sentences matched when none are asked for: "a photo of {class}" for each class of Kinetics-400."""
    return tuple(f"a photo of {name}" for name in kinetics400_classes())
