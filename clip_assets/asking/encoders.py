"""Which model encodes questions, loaded when one must be."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING

from clip_assets.core.errors import ModelAbsentError, SettingsError
from clip_assets.core.search.encoding import QueryEncoder
from clip_assets.core.search.texts import TextCache
from clip_assets.core.search.upkeep import Census
from clip_assets.models import family_of, is_model, load_model, model_sha256

if TYPE_CHECKING:
    from clip_assets.core.model.clip_model import ClipModel
    from clip_assets.settings import LibrarySettings


class Encoders:
    """An encoder for each model that is asked; safe to use from several threads."""

    def __init__(self, settings: LibrarySettings, texts: TextCache) -> None:
        self._settings = settings
        self._texts = texts
        self._encoders: dict[str, QueryEncoder] = {}
        self._lock = threading.Lock()

    def model_of(self, census: Census) -> tuple[str, str]:
        """The model that questions are for: the settings', or the one that most results are of; and its weights."""
        if "model_name" in self._settings.model_fields_set:
            name = self._settings.model_name
            try:
                return name, model_sha256(name, self._settings.custom_checkpoint)
            except ModelAbsentError:  # whoever loads it compares it with the features
                census = Census({model: count for model, count in census.models.items() if model[0] == name})
        if not census.models:
            name = self._settings.model_name
            return name, ""
        return max(census.models, key=lambda model: (census.models[model], model))

    def encoder(self, model: str, weights: str) -> QueryEncoder:
        """The encoder of a model with these weights."""
        with self._lock:
            if weights not in self._encoders:
                load = functools.partial(self._load_model, model)
                self._encoders[weights] = QueryEncoder(weights, load, self._texts)
            return self._encoders[weights]

    def _load_model(self, name: str) -> ClipModel:
        if not is_model(name):
            raise SettingsError(f"The stored features are of the model {name!r}, which isn't known.")
        checkpoint = self._settings.checkpoint if family_of(name).takes_checkpoint(name) else None
        return load_model(name, checkpoint=checkpoint, weights_folder=self._settings.weights)
