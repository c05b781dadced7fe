"""What there is to see of each asset of a video, as values: for the terminal, a page to send, and the browse pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clip_assets.core.errors import ResultMissingError
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.tables import Table

if TYPE_CHECKING:
    from clip_assets.core.picture import Picture
    from clip_assets.core.store import Store


@dataclass(frozen=True)
class Section:
    """What there is to see of one asset.

    Attributes:
        title: The asset's name.
        note: One line that comes first; may be empty.
        tables: In order.
        pictures: Those that are stored.
    """

    title: str
    note: str = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = field(default_factory=list)


def sections(store: Store, key: str) -> list[Section]:
    """What there is to see of a partition, asset by asset.

    Raises:
        ResultMissingError: Nothing of it is stored.
    """
    manifests = [store.manifest(asset, key) for asset in PER_VIDEO]
    if not any(manifests):
        raise ResultMissingError(f"Nothing is stored for {key!r} in {store.root}. `clip-assets status` lists what is.")
    return [
        Section(row.name, *row.tell(manifest), store.pictures(manifest))
        if manifest
        else Section(row.name, "Nothing is stored.")
        for row, manifest in zip(PER_VIDEO.values(), manifests, strict=True)
    ]
