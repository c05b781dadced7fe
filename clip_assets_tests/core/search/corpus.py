"""Small libraries of made features: no video is decoded, no model loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clip_assets.core.digests import digest
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.folder import Folder
from clip_assets.core.records import ClipFeatures
from clip_assets.core.search.ask import StoredRows, ask
from clip_assets.core.search.cache import ShotCache
from clip_assets.core.search.search import Answer, Wanted
from clip_assets.core.search.upkeep import FEATURES, Upkeep
from clip_assets.core.store import Store

WIDTH = 32
MODEL, OTHER_MODEL = "a" * 64, "b" * 64


def clip_of(*scenes: tuple[int, int], noise: float = 0.05, seed: int = 0) -> np.ndarray:
    """Features of scenes, each a concept and a number of rows: concepts are at right angles to each other."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([np.repeat(np.eye(WIDTH)[[concept]], count, axis=0) for concept, count in scenes])
    return (10 * (rows + noise * random.standard_normal(rows.shape) / np.sqrt(WIDTH))).astype(np.float32)


class Library:
    """A folder of files that stand for videos, a store with features of them, and a cache."""

    def __init__(self, folder: Path, form: str = "numpy") -> None:
        self.folder = folder
        self.videos = folder / "videos"
        self.videos.mkdir()
        self.store = Store(folder / "output", form)
        self.rows = StoredRows(self.store)
        self.upkeep = self.new_upkeep()

    def new_upkeep(self, name: str = "cache") -> Upkeep:
        return Upkeep(ShotCache(self.folder / name), self.store, Folder(self.videos))

    def add(self, key: str, clip: np.ndarray, content: str = "", weights: str = MODEL) -> None:
        path = self.videos / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content or f"{key} {clip.sum()}")
        self.compute(key, clip, weights)

    def compute(self, key: str, clip: np.ndarray, weights: str = MODEL) -> None:
        times = np.arange(len(clip)) * 500.0
        record = ClipFeatures(clip, times, times, np.arange(len(clip)), 25.0, "custom", weights)
        parameters = {
            "source": fingerprint(self.videos / key),
            "model_name": "custom",
            "weights_sha256": weights,
        }
        self.store.write(FEATURES, key, record, data_version=digest(parameters), parameters=parameters)

    def ask(self, concept: int, upkeep: Upkeep | None = None, **wanted: object) -> Answer:
        return ask(upkeep or self.upkeep, self.rows, MODEL, Wanted(np.eye(WIDTH)[concept], **wanted))


def told(answer: Answer) -> list[tuple[str, int, int, float]]:
    return [(m.video.key, m.first_row, m.last_row, round(m.score, 4)) for m in answer.moments]
