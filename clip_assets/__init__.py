"""Folders of videos become CLIP features: partitioned, tracked, reproducible Dagster assets.

What stands here is what people import by this name; it brings neither torch nor Dagster.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clip_assets.asking.opening import open_library

__all__ = ["open_library"]


def __getattr__(name: str) -> Any:
    """What the package offers, imported when it is asked for: the package alone brings neither torch nor Dagster."""
    if name == "open_library":
        from clip_assets.asking.opening import open_library

        return open_library
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
