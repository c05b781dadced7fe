"""A platform in a temporary folder: a library, a tiny model, an instance; for tests of assets, sensors and checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from clip_assets.core.store import Store
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import register, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.resources import _loaded
from clip_assets.results.assets import PER_VIDEO
from clip_assets.settings import LibrarySettings, Settings
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit

ASSETS = list(PER_VIDEO)


@dataclass
class Platform:
    """The folders and the instance; ``settings`` may be replaced, as a deployment's are by an edit and a reload."""

    folder: Path
    instance: dg.DagsterInstance
    settings: LibrarySettings

    @property
    def names(self) -> LibraryNames:
        return LibraryNames.of(self.settings)

    @property
    def videos(self) -> Path:
        return Path(self.settings.videos)

    @property
    def store(self) -> Store:
        return Store(self.settings.output)

    def add(self, *keys: str) -> None:
        register(self.instance, self.names, self.settings.source, keys)

    def change(self, **settings: Any) -> None:
        self.settings = type(self.settings)(**{**self.settings.model_dump(), **settings})

    def as_new(self) -> None:
        """Go on as in a new process, which has no model loaded."""
        _loaded.clear()

    def materialize(
        self,
        *keys: str,
        assets: list[str] | None = None,
        config: dict[str, Any] | None = None,
        resources: dict[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One run for one key, or for the range from the first to the last of several."""
        definitions = build_definitions(self.settings)
        several = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        }
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset) for asset in assets or ASSETS],
            partition_key=keys[0] if len(keys) == 1 else None,
            tags=several if len(keys) > 1 else None,
            run_config={
                part: {name: {"config": values} for name, values in (configured or {}).items()}
                for part, configured in (("ops", config), ("resources", resources))
            },
            raise_on_error=False,
        )

    def registered(self) -> list[str]:
        return list(registered(self.instance, self.names))


def make_platform(folder: Path, instance: dg.DagsterInstance) -> Platform:
    """A platform with an empty library, a tiny random ViT and two sentences; without pictures."""
    (folder / "videos").mkdir()
    settings = Settings(
        videos=folder / "videos",
        output=str(folder / "output"),
        model_name="custom",
        checkpoint=random_vit(folder / "vit.pth"),
        device_ids="cpu",
        pred_texts=["a red circle", "a blue square"],
        pictures="off",
    )
    return Platform(folder, instance, settings)


@contextmanager
def platform_of_single_frames(folder: Path, keys: Sequence[str]) -> Iterator[Platform]:
    """Such a platform on an instance of its own: registered videos of one frame each."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(folder, instance)
        for key in keys:
            (made.videos / key).parent.mkdir(parents=True, exist_ok=True)
            corpus.single_frame(made.videos / key)
        made.add(*keys)
        yield made
