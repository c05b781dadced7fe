"""Code versions: what of the deployment's settings the bytes of each asset depend on, upstream ones included.

A changed setting, or changed weights, shows after a reload as stale on the asset and on all below it.
"""

from clip_assets.assets.text_match import text_parameters
from clip_assets.core.classes import default_texts
from clip_assets.core.errors import ModelError
from clip_assets.core.identity import digest
from clip_assets.core.preprocess import PREPROCESSING
from clip_assets.core.weights import model_sha256
from clip_assets.settings import Settings


def code_versions(settings: Settings) -> dict[str, str]:
    """The code version of each asset by its name; 12 hexadecimal digits."""
    sampling = settings.sampling.parameters
    features = {
        **sampling,
        "model_name": settings.model_name,
        "weights_sha256": _weights(settings),
        "precision": settings.precision,
        "decoder": settings.decoder,
        "on_damage": settings.on_damage,
        "preprocessing": PREPROCESSING,
    }
    texts = {**features, **text_parameters(settings.pred_texts or default_texts(settings.model_name))}
    by_asset = {"frame_indices": sampling, "clip_features": features, "text_match": texts}
    return {asset: digest(parameters)[:12] for asset, parameters in by_asset.items()}


def _weights(settings: Settings) -> str:
    """The weights' SHA-256; a checkpoint that isn't there is no reason for the UI not to open."""
    try:
        return model_sha256(settings.model_name, settings.checkpoint if settings.model_name == "custom" else None)
    except ModelError as error:
        return str(error)
