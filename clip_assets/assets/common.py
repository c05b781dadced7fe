"""What the assets share: how they are grouped, run in batches, and say what is wanted."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from clip_assets.core.errors import ClipAssetsError

GROUP = "clip"
OWNERS = ["team:clip-assets"]


class ForceConfig(dg.Config):
    """Run config of every asset."""

    force: bool = Field(default=False, description="Compute even what is stored already.")


def want_each(
    keys: Iterable[str], parameters: Callable[[str], Mapping[str, Any]]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Exception]]:
    """The parameters wanted of each partition, and the partitions for which there are none, with the reason."""
    wanted: dict[str, Mapping[str, Any]] = {}
    failed: dict[str, Exception] = {}
    for key in keys:
        try:
            wanted[key] = parameters(key)
        except ClipAssetsError as error:
            failed[key] = error
    return wanted, failed
