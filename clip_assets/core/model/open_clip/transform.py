"""How a model of open_clip wants pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ModelError
from clip_assets.core.model.preprocess import Preprocess

if TYPE_CHECKING:
    from PIL.Image import Image

# open_clip's resize modes that `Preprocess` does itself.
_FITS = {"shortest": "crop", "squash": "squash"}

# Of open_clip's transform, what comes after the picture has its size: to RGB, to a tensor, normalised.
_LAST_STEPS = 3


def transform(settings: Mapping[str, Any], size: int | tuple[int, int]) -> Preprocess:
    """What open_clip's ``image_transform_v2`` does for models that aren't trained.

    Args:
        settings: As its ``PreprocessCfg`` takes them, the size aside.
        size: Height and width in pixels of the pictures that the network takes.

    Raises:
        ModelError: The pictures aren't square.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise ModelError(f"The model takes pictures of {width} x {height} pixels; allowed are square ones.")
    mode = settings.get("resize_mode") or "shortest"
    return Preprocess(
        resolution=height,
        mean=_levels(settings["mean"]),
        std=_levels(settings["std"]),
        interpolation="bilinear" if settings.get("interpolation") == "bilinear" else "bicubic",
        fit="squash" if _FITS.get(mode) == "squash" else "crop",
        own=None if mode in _FITS else _own(settings, height),
    )


def _levels(values: float | list[float]) -> tuple[float, float, float]:
    red, green, blue = (values,) * 3 if isinstance(values, int | float) else values
    return float(red), float(green), float(blue)


def _own(settings: Mapping[str, Any], size: int) -> Callable[[Image], Image]:
    """The steps of open_clip's transform that give a picture its size."""
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from torchvision.transforms import Compose

    known = {name: settings[name] for name in PreprocessCfg.__dataclass_fields__ if name in settings}
    steps = image_transform_v2(PreprocessCfg(**{**known, "size": size}), is_train=False).transforms
    return Compose(steps[:-_LAST_STEPS])
