"""Results on disk, or anywhere that fsspec reaches: whole or absent, every byte checked.

What belongs here writes and reads records. What they mean is `records`'; what is asked of them, `search`'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clip_assets.core.store.store import Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    """`Store`, when it is asked for: manifests and formats are of use without the libraries that it needs."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from clip_assets.core.store.store import Store

    return Store
