"""The truth about each partition, from the manifests: what is stored, and whether it is what the settings ask for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clip_assets.core.devices import resolve_devices, resolve_precision
from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.library import fingerprint, path_for
from clip_assets.core.manifest import Manifest
from clip_assets.core.records import RECORD_TYPES
from clip_assets.core.store import Store
from clip_assets.settings import Settings
from clip_assets.versions import wanted_parameters


@dataclass(frozen=True)
class AssetState:
    """What is stored of one asset for one partition.

    Attributes:
        state: ``done``: what the settings ask for; ``stale``: something else; ``missing``: nothing whole.
        reason: Why it is stale; empty otherwise.
        manifest: Of what is stored; None where nothing is.
    """

    state: Literal["done", "stale", "missing"]
    reason: str = ""
    manifest: Manifest | None = None


def partition_states(settings: Settings, keys: Sequence[str]) -> Iterator[tuple[str, Mapping[str, AssetState]]]:
    """For each partition key the state of each asset, by the asset's name."""
    store = Store(settings.output)
    precision = resolve_precision(settings.precision, resolve_devices(settings.device_ids))
    wanted = wanted_parameters(settings, precision)
    for key in keys:
        source = _source(settings.videos, key)
        yield (
            key,
            {asset: _state(store.manifest(asset, key), {"source": source, **wanted[asset]}) for asset in RECORD_TYPES},
        )


def status_report(settings: Settings, keys: Sequence[str]) -> Iterator[RenderableType]:
    """A table with a row for each partition, then a line for each that is stale, with the reason."""
    table = Table("partition", *RECORD_TYPES, "frames", "model")
    reasons = []
    for key, states in partition_states(settings, keys):
        features = states["clip_features"].manifest
        table.add_row(
            Text(key),
            *(state.state for state in states.values()),
            str(features.summary["frames"]) if features else "",
            features.parameters["model_name"] if features else "",
        )
        reasons += [Text(f"{key}: {asset} is stale: {state.reason}") for asset, state in states.items() if state.reason]
    yield table
    yield from reasons


def _source(root: Path, key: str) -> str:
    """The video's fingerprint, or why there is none."""
    try:
        return fingerprint(path_for(root, key))
    except ClipAssetsError as error:
        return str(error)


def _state(manifest: Manifest | None, wanted: Mapping[str, Any]) -> AssetState:
    if manifest is None:
        return AssetState("missing")
    made = manifest.parameters
    differing = [name for name in wanted if made.get(name) != wanted[name]]
    if not differing:
        return AssetState("done", manifest=manifest)
    return AssetState(
        "stale", "; ".join(_difference(name, made.get(name), wanted[name]) for name in differing), manifest
    )


def _difference(name: str, made: Any, wanted: Any) -> str:
    if name == "source":
        return "the video has changed" if len(wanted) == 64 else wanted
    return f"{name} {_short(made)}, wanted {_short(wanted)}"


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) and len(value) == 64 else str(value)
