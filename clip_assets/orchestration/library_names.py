"""What Dagster calls the parts of a library: several live in one instance, each with names of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from clip_assets.results.assets import PER_VIDEO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clip_assets.settings import LibrarySettings

JOB_ASSETS = {
    "extract_clip_features": tuple(PER_VIDEO),
    "match_texts": ("text_match",),
}
"""The assets of each job, by what the library without a name calls it."""

GPU_POOL = "gpu"
"""The pool of whatever encodes pictures, in all libraries: as many are at work at once as its limit says."""


@dataclass(frozen=True)
class LibraryNames:
    """The names of one library's assets, partitions, resources, jobs and sensors.

    Attributes:
        library: Its name; of the one without a name all are called as in the documentation.
        prefix: What its asset keys begin with, parted by ``/``.
    """

    library: str = ""
    prefix: str = ""

    @classmethod
    def of(cls, settings: LibrarySettings) -> LibraryNames:
        """Those that settings give."""
        return cls(settings.name, settings.prefix)

    def __call__(self, part: str) -> str:
        """The name of a resource, a job, a sensor or the partitions."""
        return f"{self.library}_{part}" if self.library else part

    def key(self, asset: str) -> dg.AssetKey:
        """The key of an asset, or of the videos themselves."""
        return dg.AssetKey([*filter(None, self.prefix.split("/")), asset])

    def keys(self, assets: Iterable[str]) -> list[dg.AssetKey]:
        """The keys of several assets."""
        return [self.key(asset) for asset in assets]

    def ins(self, *assets: str) -> dict[str, dg.AssetIn]:
        """Assets as inputs, each called as it is called here."""
        return {asset: dg.AssetIn(self.key(asset)) for asset in assets}

    def op(self, asset: str) -> str:
        """The name of an asset's op, by which a run's configuration finds it."""
        return self.key(asset).to_python_identifier()

    @property
    def videos(self) -> dg.AssetKey:
        """The key of the source: the videos."""
        return self.key("video")

    @cached_property
    def partitions(self) -> dg.DynamicPartitionsDefinition:
        """One partition for each video."""
        return dg.DynamicPartitionsDefinition(name=self("videos"))

    def asset(self, key: dg.AssetKey) -> str | None:
        """The asset of the library that has a key; None for another's."""
        name = key.path[-1]
        return name if name in PER_VIDEO and key == self.key(name) else None

    def assets_of(self, run: dg.DagsterRun) -> tuple[str, ...]:
        """The assets of the library that a run is for, in order; whether it is for others too, isn't asked."""
        if run.asset_selection:
            selected = {self.asset(key) for key in run.asset_selection}
        else:
            selected = {asset for job, assets in JOB_ASSETS.items() if self(job) == run.job_name for asset in assets}
        return tuple(asset for asset in PER_VIDEO if asset in selected)

    def may_touch(self, run: dg.DagsterRun) -> bool:
        """Whether a run may compute something of the library, as a job of the user's own may."""
        is_somebody_s = bool(run.asset_selection) or run.job_name.endswith(tuple(JOB_ASSETS))
        return bool(self.assets_of(run)) or not is_somebody_s
