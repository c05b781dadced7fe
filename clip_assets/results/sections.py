"""What there is to see of each asset of a video, as values: for the terminal, a page to send, and the browse pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ResultMissingError
from clip_assets.core.records import RECORD_TYPES
from clip_assets.results import facts
from clip_assets.results.summaries import FeatureSummary, FrameSummary, MatchSummary, ShotSummary

if TYPE_CHECKING:
    from clip_assets.core.picture import Picture
    from clip_assets.core.store import Store
    from clip_assets.core.store.manifest import Manifest


@dataclass(frozen=True)
class Table:
    """Rows under the names of their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


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
    manifests = [store.manifest(asset, key) for asset in RECORD_TYPES]
    if not any(manifests):
        raise ResultMissingError(f"Nothing is stored for {key!r} in {store.root}. `clip-assets status` lists what is.")
    return [
        _section(manifest, store.pictures(manifest)) if manifest else Section(asset, "Nothing is stored.")
        for asset, manifest in zip(RECORD_TYPES, manifests, strict=True)
    ]


def _section(manifest: Manifest, pictures: Sequence[Picture]) -> Section:
    note, tables = _DESCRIBE[manifest.asset](manifest)
    return Section(manifest.asset, note, tables, pictures)


def _facts(manifest: Manifest, rows: facts.Rows) -> Table:
    """What there is to know of a result, and with which sampling it was made."""
    return Table(list(facts.FACT_COLUMNS), [("sampling", facts.sampling_words(manifest.parameters)), *rows])


def _describe_frames(manifest: Manifest) -> tuple[str, list[Table]]:
    return "", [_facts(manifest, facts.source_rows(FrameSummary.read(manifest.summary)))]


def _describe_features(manifest: Manifest) -> tuple[str, list[Table]]:
    summary = FeatureSummary.read(manifest.summary)
    return "", [
        _facts(manifest, facts.feature_rows(summary)),
        Table(list(facts.SPEED_COLUMNS), facts.speed_rows(summary)),
    ]


def _describe_match(manifest: Manifest) -> tuple[str, list[Table]]:
    summary = MatchSummary.read(manifest.summary)
    return facts.at_a_glance(summary), [
        Table(list(facts.LINE_COLUMNS), summary.lines),
        Table(list(facts.STRETCH_COLUMNS), facts.stretch_rows(summary)),
    ]


def _describe_shots(manifest: Manifest) -> tuple[str, list[Table]]:
    summary = ShotSummary.read(manifest.summary)
    more = (summary.shots or 0) - len(summary.stretches)
    note = f"The first {len(summary.stretches)} of {summary.shots} shots." if more > 0 else ""
    return note, [Table(list(facts.SHOT_COLUMNS), facts.shot_rows(summary))]


_DESCRIBE = {
    "frame_indices": _describe_frames,
    "clip_features": _describe_features,
    "shots": _describe_shots,
    "text_match": _describe_match,
}
"""The line and the tables that tell an asset's stored summary."""
