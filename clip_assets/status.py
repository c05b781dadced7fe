"""``clip-assets status``: what is stored of each partition, and whether it is what the settings ask for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from clip_assets.core.records import RECORD_TYPES
from clip_assets.settings import Settings
from clip_assets.states import AssetState, Failures, video_states
from clip_assets.summaries import FeatureSummary

STYLES = {"done": "green", "failed": "bold red", "stale": "yellow", "missing": "dim", "gone": "dim"}
"""How a terminal shows each state; the word says it too."""


def status_report(settings: Settings, keys: Sequence[str], failures: Failures) -> Iterator[RenderableType]:
    """A table with a row for each partition, the totals, then what failed and what is stale, with the reasons."""
    table = Table(Column("partition", overflow="fold"), "state", "frames", "model")
    totals = {asset: Counter[str]() for asset in RECORD_TYPES}
    reasons: list[str] = []
    for video in video_states(settings, keys, failures):
        key, states = video.key, video.assets
        features = states["clip_features"].manifest
        table.add_row(
            Text(key),
            _in_short(states),
            _known(FeatureSummary.read(features.summary).frames) if features else "",
            _known(features.parameters.get("model_name")) if features else "",
        )
        failed = {state.reason for state in states.values() if state.state == "failed"}
        reasons += [f"{key} failed: {reason}" for reason in sorted(failed)]
        for asset, state in states.items():
            totals[asset][state.state] += 1
            if state.state == "stale":
                reasons.append(f"{key}: {asset} is stale: {state.reason}")
    yield table
    for asset, counts in totals.items():
        yield Text(f"{asset}: " + (", ".join(f"{count} {state}" for state, count in counts.most_common()) or "none"))
    yield from map(Text, reasons)


def _in_short(states: Mapping[str, AssetState]) -> Text:
    """``done``, or which assets aren't; what they share is said once."""
    assets = {name: [asset for asset, state in states.items() if state.state == name] for name in STYLES}
    apart = [name for name in ("failed", "stale", "missing", "gone") if assets[name]]
    if not apart:
        return Text("done", STYLES["done"])
    if len(assets[apart[0]]) == len(states):
        return Text(apart[0], STYLES[apart[0]])
    return Text("; ").join(Text(f"{name}: {', '.join(assets[name])}", STYLES[name]) for name in apart)


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)
