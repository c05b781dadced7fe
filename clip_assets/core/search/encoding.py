"""Sentences and pictures to features, by the model that the library's features are of; loaded only when it must be."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import ModelError, QueryError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from clip_assets.core.model.clip_model import ClipModel
    from clip_assets.core.model.score import Score
    from clip_assets.core.search.texts import TextCache

MAX_PIXELS = 100_000_000
"""Of a picture to look for: a small file can claim to be one that fills the memory."""

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")


class QueryEncoder:
    """Features of what is asked for; safe to use from several threads.

    Attributes:
        weights: SHA-256 of the model's weights.
    """

    def __init__(self, weights: str, load: Callable[[], ClipModel], texts: TextCache) -> None:
        self.weights = weights
        self._load = load
        self._texts = texts
        self._loaded: ClipModel | None = None
        self._lock = threading.Lock()

    def sentences(self, sentences: Sequence[str]) -> tuple[NDArray[np.float32], Score]:
        """Features of sentences, float32 (N, D), and the model's score.

        Raises:
            TextError: A sentence has more tokens than the model takes.
            ModelError: The model's weights can't be had.
        """
        known, score = self._texts.features(self.weights, sentences), self._texts.score(self.weights)
        missing = [sentence for sentence in dict.fromkeys(sentences) if sentence not in known]
        if missing or score is None:
            new = dict(zip(missing, self.model().encode_texts(missing), strict=True))
            score = self.model().score
            self._texts.put(self.weights, score, new)
            known |= new
        return np.array([known[sentence] for sentence in sentences]), score

    def picture(self, picture: str | Path | bytes | Image) -> NDArray[np.float32]:
        """The feature of a picture, float32 (D,).

        Raises:
            QueryError: It can't be read, or is too large.
            ModelError: The model's weights can't be had.
        """
        pixels = read_picture(picture)
        model = self.model()
        preprocess = model.preprocess
        batch = preprocess.normalise(preprocess.resize_crop(pixels[None]))
        feature: NDArray[np.float32] = model.encode_images(batch)[0].cpu().numpy()
        return feature

    def model(self) -> ClipModel:
        """The model, loaded by whoever asks first; the others wait.

        Raises:
            ModelError: Its weights can't be had, or aren't those of the features.
        """
        with self._lock:
            if self._loaded is None:
                model = self._load()
                if model.weights_sha256 != self.weights:
                    raise ModelError(
                        f"The weights of the model {model.name} that can be had are {model.weights_sha256[:12]}, and "
                        f"the library's features are of {self.weights[:12]}."
                    )
                self._loaded = model
            return self._loaded


def read_picture(picture: str | Path | bytes | Image, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """A picture upright, uint8 (H, W, 3): of a file, of a file's bytes, or as PIL has it.

    Raises:
        QueryError: It can't be read, or has more pixels than that.
    """
    from PIL import Image, ImageOps

    name = "The picture" if isinstance(picture, bytes | Image.Image) else str(picture)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if isinstance(picture, Image.Image):
                opened = picture
            else:
                source = io.BytesIO(picture) if isinstance(picture, bytes) else Path(picture)
                opened = Image.open(source, formats=_FORMATS)
        if opened.width * opened.height > max_pixels:
            raise QueryError(f"{name} has {opened.width} x {opened.height} pixels; at most {max_pixels:,} are read.")
        if not opened.width or not opened.height:
            raise QueryError(f"{name} is empty.")
        return np.array(ImageOps.exif_transpose(opened).convert("RGB"))
    except Image.DecompressionBombError as error:
        raise QueryError(f"{name} has too many pixels; at most {max_pixels:,} are read.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise QueryError(f"{name} can't be read as a picture: {error}.") from error
