"""What Dagster is told of the settings: the code version of each asset, and with what it is tried."""

from collections.abc import Mapping
from typing import Any

from clip_assets.core.digests import digest
from clip_assets.results.assets import Wish, wanted_parameters
from clip_assets.results.parameters import Parameters, Unknown, encoding_parameters, model_parameters, wanted_texts
from clip_assets.settings import LibrarySettings


def code_versions(settings: LibrarySettings) -> dict[str, str]:
    """The code version of each asset by its name.

    A changed setting, or changed weights, shows after a reload as stale on the asset and on all below it; a mended
    algorithm on its asset, and below it once something came out otherwise.
    """
    wish = Wish(
        settings.sampling.parameters,
        encoding_parameters(model_parameters(settings, settings.precision), settings.pipeline_options),
        wanted_texts(settings),
    )
    wanted = wanted_parameters(wish)
    return {asset: digest(_known(parameters))[:12] for asset, parameters in wanted.items()}


def attempt_digests(settings: LibrarySettings) -> dict[str, str]:
    """By asset a digest of the settings that may decide whether it fails for a video.

    They are those that its bytes depend on, and those that bound time and memory.
    """
    bounds = {
        "on_damage": settings.on_damage,
        "video_timeout": settings.video_timeout,
        "device_ids": settings.device_ids,
        "batch_size": settings.batch_size,
    }
    return {asset: digest({"version": version, **bounds})[:12] for asset, version in code_versions(settings).items()}


def _known(parameters: Mapping[str, Any]) -> Parameters:
    return {name: None if isinstance(value, Unknown) else value for name, value in parameters.items()}
