"""The truth about each partition, from the manifests: what is stored, and whether it is what the settings ask for."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from clip_assets.core.devices import resolve_devices, resolve_precision
from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.library import fingerprint, path_for
from clip_assets.core.manifest import Manifest
from clip_assets.core.records import RECORD_TYPES
from clip_assets.core.shots import shot_parameters
from clip_assets.core.store import Store
from clip_assets.parameters import (
    Unknown,
    differences,
    encoding_parameters,
    feature_parameters,
    frame_parameters,
    match_parameters,
    model_parameters,
    of_frames,
    wanted_texts,
)
from clip_assets.settings import Settings
from clip_assets.summaries import FeatureSummary, FrameSummary

Failures = Mapping[str, Mapping[str, str]]
"""Why the last run failed, by asset and partition key; see `instance.failures`."""

STYLES = {"done": "green", "failed": "bold red", "stale": "yellow", "missing": "dim"}
"""How a terminal shows each state; the word says it too."""


@dataclass(frozen=True)
class AssetState:
    """What is stored of one asset for one partition.

    Attributes:
        state: ``done``: what the settings ask for; ``failed``: the last run for it failed; ``stale``: something else
            is stored; ``missing``: nothing whole is.
        reason: Why it failed, or is stale; empty otherwise.
        manifest: Of what is stored; None where nothing is.
    """

    state: Literal["done", "failed", "stale", "missing"]
    reason: str = ""
    manifest: Manifest | None = None


def partition_states(
    settings: Settings, keys: Sequence[str], failures: Failures
) -> Iterator[tuple[str, Mapping[str, AssetState]]]:
    """For each partition key the state of each asset, by the asset's name."""
    store = Store(settings.output)
    precision = resolve_precision(settings.precision, resolve_devices(settings.device_ids))
    encoding = encoding_parameters(model_parameters(settings, precision), settings.pipeline_options)
    texts = wanted_texts(settings)
    for key in keys:
        manifests = {asset: store.manifest(asset, key) for asset in RECORD_TYPES}
        frames = frame_parameters(_source(settings.videos, key), settings.sampling)
        features = feature_parameters(frames, encoding)
        chosen = manifests["frame_indices"]
        if chosen is not None and not differences(chosen.parameters, frames):
            features = of_frames(features, FrameSummary.read(chosen.summary), manifests["clip_features"], store)
        wanted = {
            "frame_indices": frames,
            "clip_features": features,
            "shots": shot_parameters(features),
            "text_match": match_parameters(features, texts),
        }
        yield (
            key,
            {
                asset: _state(manifest, wanted[asset], failures.get(asset, {}).get(key))
                for asset, manifest in manifests.items()
            },
        )


def status_report(settings: Settings, keys: Sequence[str], failures: Failures) -> Iterator[RenderableType]:
    """A table with a row for each partition, the totals, then what failed and what is stale, with the reasons."""
    table = Table(Column("partition", overflow="fold"), "state", "frames", "model")
    totals = {asset: Counter[str]() for asset in RECORD_TYPES}
    reasons: list[str] = []
    for key, states in partition_states(settings, keys, failures):
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
    apart = [name for name in ("failed", "stale", "missing") if assets[name]]
    if not apart:
        return Text("done", STYLES["done"])
    if len(assets[apart[0]]) == len(states):
        return Text(apart[0], STYLES[apart[0]])
    return Text("; ").join(Text(f"{name}: {', '.join(assets[name])}", STYLES[name]) for name in apart)


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _source(root: Path, key: str) -> str | Unknown:
    try:
        return fingerprint(path_for(root, key))
    except ClipAssetsError as error:
        return Unknown(str(error))


def _state(manifest: Manifest | None, wanted: Mapping[str, Any], failure: str | None) -> AssetState:
    differing = differences(manifest.parameters if manifest else {}, wanted)
    if manifest is not None and not differing:
        return AssetState("done", manifest=manifest)
    if failure is not None:
        return AssetState("failed", failure, manifest)
    if manifest is None:
        return AssetState("missing")
    reasons = [_difference(name, made, wanted[name]) for name, made in differing.items()]
    return AssetState("stale", "; ".join(reasons), manifest)


def _difference(name: str, made: Any, wanted: Any) -> str:
    if isinstance(wanted, Unknown):
        return wanted.reason
    if name == "source":
        return "the video has changed"
    if name == "frames_sha256":
        return "other frames or times are chosen"
    if name.endswith("_sha256"):
        made, wanted = (str(value)[:12] for value in (made, wanted))
    return f"{name} {made}, wanted {wanted}"
