"""A library on one screen: assets, jobs and resources, made from settings."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import dagster as dg

from clip_assets.orchestration.assets.library_parquet import build_export_checks, build_exports
from clip_assets.orchestration.assets.video import build_video
from clip_assets.orchestration.checks import build_checks
from clip_assets.orchestration.io_managers import NumpyIOManager, PickleIOManager
from clip_assets.orchestration.jobs import build_jobs
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.resources import ClipModelResource, GPUResource, VideoLibrary
from clip_assets.orchestration.sensors import build_sensors
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.versions import attempt_digests, code_versions
from clip_assets.settings import LibrarySettings

IO_MANAGERS = {"numpy": NumpyIOManager, "pickle": PickleIOManager}


def build_definitions(
    settings: LibrarySettings, partitions: dg.PartitionsDefinition[str] | None = None
) -> dg.Definitions:
    """A library with these settings, to be merged with others and with whatever a project has besides.

    No executor is named: the library's jobs name the one that keeps a run, and so the model, in one process; any other
    run goes by the host's.

    Args:
        settings: The library's; those of several in one instance have a name each.
        partitions: The videos; by default all that are registered, for a run of its own perhaps some of them.
    """
    names = LibraryNames.of(settings)
    partitions = partitions or names.partitions
    versions = code_versions(settings)
    assets = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(code_version=versions[spec.key.path[-1]]),
        [_builder(name)(settings, partitions) for name in PER_VIDEO],
    )
    jobs = build_jobs(names)
    return dg.Definitions(
        assets=[build_video(settings, partitions), *assets, *build_exports(settings)],
        asset_checks=[*build_checks(names, partitions), *build_export_checks(settings)],
        jobs=jobs,
        sensors=build_sensors(settings, jobs),
        resources={names(part): resource for part, resource in _resources(settings).items()},
    )


def _resources(settings: LibrarySettings) -> dict[str, Any]:
    """What the assets work with, by what the library without a name calls it."""
    # At launch, so that a run's own configuration of it reaches the model too.
    gpu = GPUResource.configure_at_launch(
        device_ids=str(settings.device_ids),
        precision=settings.precision,
        batch_size=settings.pipeline_options.batch_size,
    )
    return {
        "gpu": gpu,
        "clip_model": ClipModelResource(
            gpu=gpu,
            model_name=settings.model_name,
            checkpoint=settings.custom_checkpoint,
            weights=settings.weights,
        ),
        "library": VideoLibrary(
            root=settings.videos,
            cache=str(settings.cache) if settings.cache else None,
            cache_bytes=settings.cache_size,
            video_timeout=settings.video_timeout,
        ),
        "io_manager": IO_MANAGERS[settings.format](
            base_path=settings.output,
            browse_url=settings.browse_url,
            attempt_digests=attempt_digests(settings),
        ),
    }


def _builder(asset: str) -> Callable[[LibrarySettings, dg.PartitionsDefinition[str]], dg.AssetsDefinition]:
    """What makes an asset: `build` of the module of its name."""
    build: Callable[[LibrarySettings, dg.PartitionsDefinition[str]], dg.AssetsDefinition] = import_module(
        f"clip_assets.orchestration.assets.{asset}"
    ).build
    return build
