"""What a stored result of each asset tells: a line that comes first, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clip_assets.core.store.manifest import Manifest
from clip_assets.results import facts
from clip_assets.results.summaries import FeatureSummary, FrameSummary, MatchSummary, ShotSummary


@dataclass(frozen=True)
class Table:
    """Rows under the names of their columns."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


Told = tuple[str, list[Table]]
"""A line, which may be empty, and tables."""


def _facts(manifest: Manifest, rows: facts.Rows) -> Table:
    """What there is to know of a result, and with which sampling it was made."""
    return Table(list(facts.FACT_COLUMNS), [("sampling", facts.sampling_words(manifest.parameters)), *rows])


def frames_told(manifest: Manifest) -> Told:
    """The source and the sampling."""
    return "", [_facts(manifest, facts.source_rows(FrameSummary.read(manifest.summary)))]


def features_told(manifest: Manifest) -> Told:
    """The features, and how fast they came."""
    summary = FeatureSummary.read(manifest.summary)
    return "", [
        _facts(manifest, facts.feature_rows(summary)),
        Table(list(facts.SPEED_COLUMNS), facts.speed_rows(summary)),
    ]


def match_told(manifest: Manifest) -> Told:
    """What the frames show when."""
    summary = MatchSummary.read(manifest.summary)
    return facts.at_a_glance(summary), [
        Table(list(facts.FACT_COLUMNS), facts.match_rows(summary)),
        Table(list(facts.LINE_COLUMNS), summary.lines),
        Table(list(facts.STRETCH_COLUMNS), facts.stretch_rows(summary)),
    ]


def shots_told(manifest: Manifest) -> Told:
    """The first shots."""
    summary = ShotSummary.read(manifest.summary)
    more = (summary.shots or 0) - len(summary.stretches)
    note = f"The first {len(summary.stretches)} of {summary.shots} shots." if more > 0 else ""
    return note, [Table(list(facts.SHOT_COLUMNS), facts.shot_rows(summary))]
