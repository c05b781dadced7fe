"""What there is to see of each asset of a video, as values: for the terminal, a page to send, and the browse pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clip_assets.core.errors import ResultMissingError, StoreError
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.failure import Failure
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


def sections(store: Store, key: str, failures: Callable[[], Mapping[str, Failure]] = lambda: {}) -> list[Section]:
    """What there is to see of a partition, asset by asset.

    Args:
        store: Where its results are.
        key: Its key.
        failures: Asked where something isn't stored: by asset why the last run for the partition failed.

    Raises:
        ResultMissingError: Nothing of it is stored, and nobody knows why.
        StoreError: Nothing of it is stored, as its last run failed; says why.
    """
    manifests = {asset: store.manifest(asset, key) for asset in PER_VIDEO}
    failed = {} if all(manifests.values()) else failures()
    if not any(manifests.values()):
        nothing = f"Nothing is stored for {key!r} in {store.root}."
        if failed:
            raise StoreError(f"{nothing} {_last_run(next(iter(failed.values())))}")
        raise ResultMissingError(f"{nothing} `clip-assets status` lists what is.")
    found = []
    for asset, row in PER_VIDEO.items():
        if manifest := manifests[asset]:
            found.append(Section(row.name, *row.tell(manifest), store.pictures(manifest)))
        else:
            told = [_last_run(failed[asset])] if asset in failed else []
            found.append(Section(row.name, " ".join(["Nothing is stored.", *told])))
    return found


def _last_run(failure: Failure) -> str:
    return f"The last run failed: {failure.reason}"
