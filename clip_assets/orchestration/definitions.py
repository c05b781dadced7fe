"""The whole platform on one screen: assets, jobs and resources, made from settings."""

from collections.abc import Callable
from importlib import import_module

import dagster as dg

from clip_assets.orchestration.assets.video import build_video
from clip_assets.orchestration.checks import build_checks
from clip_assets.orchestration.io_managers import NumpyIOManager, PickleIOManager
from clip_assets.orchestration.jobs import JOBS
from clip_assets.orchestration.partitions import videos_partitions
from clip_assets.orchestration.resources import ClipModelResource, GPUResource, VideoLibrary
from clip_assets.orchestration.sensors import build_sensors
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.versions import attempt_digests, code_versions
from clip_assets.settings import Settings

IO_MANAGERS = {"numpy": NumpyIOManager, "pickle": PickleIOManager}


def build_definitions(
    settings: Settings, partitions: dg.PartitionsDefinition[str] = videos_partitions
) -> dg.Definitions:
    """The platform with these settings; its partitions are all registered videos, or those of a run of its own."""
    versions = code_versions(settings)
    assets = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(code_version=versions[spec.key.to_user_string()]),
        [_builder(name)(settings, partitions) for name in PER_VIDEO],
    )
    # At launch, so that a run's own configuration of it reaches the model too.
    gpu = GPUResource.configure_at_launch(
        device_ids=str(settings.device_ids),
        precision=settings.precision,
        batch_size=settings.pipeline_options.batch_size,
    )
    return dg.Definitions(
        assets=[build_video(settings, partitions), *assets],
        asset_checks=build_checks(partitions),
        jobs=JOBS,
        sensors=build_sensors(settings),
        resources={
            "gpu": gpu,
            "clip_model": ClipModelResource(
                gpu=gpu,
                model_name=settings.model_name,
                checkpoint=str(settings.custom_checkpoint) if settings.custom_checkpoint else None,
                weights=str(settings.weights),
            ),
            "library": VideoLibrary(root=str(settings.videos), video_timeout=settings.video_timeout),
            "io_manager": IO_MANAGERS[settings.format](
                base_path=settings.output,
                browse_url=settings.browse_url,
                attempt_digests=attempt_digests(settings),
            ),
        },
        # One process for a run, so that the model is loaded once.
        executor=dg.in_process_executor,
    )


def _builder(asset: str) -> Callable[[Settings, dg.PartitionsDefinition[str]], dg.AssetsDefinition]:
    """What makes an asset: `build` of the module of its name."""
    build: Callable[[Settings, dg.PartitionsDefinition[str]], dg.AssetsDefinition] = import_module(
        f"clip_assets.orchestration.assets.{asset}"
    ).build
    return build
