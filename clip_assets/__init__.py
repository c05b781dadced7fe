"""Folders of videos become CLIP features: partitioned, tracked, reproducible Dagster assets.

What stands here is what people import by this name; it brings neither torch nor Dagster.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clip_assets.asking.opening import open_library
    from clip_assets.orchestration.component import ClipLibraryComponent
    from clip_assets.orchestration.definitions import build_definitions
    from clip_assets.settings import LibrarySettings

__all__ = ["ClipLibraryComponent", "LibrarySettings", "build_definitions", "open_library"]

_HOME = {
    "ClipLibraryComponent": "clip_assets.orchestration.component",
    "LibrarySettings": "clip_assets.settings",
    "build_definitions": "clip_assets.orchestration.definitions",
    "open_library": "clip_assets.asking.opening",
}


def __getattr__(name: str) -> Any:
    """What the package offers, imported when it is asked for: the package alone brings neither torch nor Dagster."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
