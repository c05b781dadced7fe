"""What the deployment's settings ask for: the parameters, and from them the code version, of each asset."""

from typing import Any

from clip_assets.core.classes import default_texts
from clip_assets.core.errors import ModelError
from clip_assets.core.identity import digest
from clip_assets.core.matching import text_parameters
from clip_assets.core.weights import model_sha256
from clip_assets.settings import Settings


def wanted_parameters(settings: Settings, precision: str) -> dict[str, dict[str, Any]]:
    """What the stored bytes of each asset should be made from, apart from the video; upstream parameters included.

    Args:
        settings: The deployment's.
        precision: The model's number format; settings may leave it to the device.
    """
    sampling = settings.sampling.parameters
    features = {
        **sampling,
        "model_name": settings.model_name,
        "weights_sha256": _weights_sha256(settings),
        "precision": precision,
        **settings.pipeline_options.parameters,
    }
    texts = {**features, **text_parameters(settings.pred_texts or default_texts(settings.model_name))}
    return {"frame_indices": dict(sampling), "clip_features": features, "text_match": texts}


def code_versions(settings: Settings) -> dict[str, str]:
    """The code version of each asset by its name.

    A changed setting, or changed weights, shows after a reload as stale on the asset and on all below it.
    """
    return {asset: digest(wanted)[:12] for asset, wanted in wanted_parameters(settings, settings.precision).items()}


def _weights_sha256(settings: Settings) -> str:
    """The weights' digest; a checkpoint that isn't there is no reason for the UI not to open."""
    try:
        return model_sha256(settings.model_name, settings.custom_checkpoint)
    except ModelError as error:
        return str(error)
