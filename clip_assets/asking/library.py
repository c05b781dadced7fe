"""The Python face of a library: ask it, and read what is stored of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.asking.answers import Moment, Moments, Scores, SimilarVideo, notes_of
from clip_assets.asking.comparing import Comparing
from clip_assets.asking.encoders import Encoders
from clip_assets.asking.parts import (
    Part,
    asked_sentences,
    likelihoods_of,
    picture_part,
    sentence_parts,
    several,
    sum_of,
)
from clip_assets.core.digests import digest
from clip_assets.core.errors import QueryError, ResultMissingError
from clip_assets.core.library.keys import is_under
from clip_assets.core.library.source import VideoSource
from clip_assets.core.records import ClipFeatures, Shots
from clip_assets.core.search.ask import StoredRows, ask, span_ms
from clip_assets.core.search.cache import ShotCache
from clip_assets.core.search.encoding import QueryEncoder
from clip_assets.core.search.likelihood import Likelihood
from clip_assets.core.search.queries import (
    names_with,
    parse_place,
    rows_at,
    split_weight,
)
from clip_assets.core.search.search import Found, Wanted
from clip_assets.core.search.texts import TextCache
from clip_assets.core.search.upkeep import FEATURES, Upkeep, shots_of
from clip_assets.core.shots import unit_rows
from clip_assets.core.store import Store
from clip_assets.core.user_cache import user_cache_folder
from clip_assets.default_texts import default_texts, subject
from clip_assets.models import family_of, is_model, same_shot_cosine, weights_are_here

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray
    from PIL.Image import Image

    from clip_assets.asking.rows import Rows
    from clip_assets.core.export.contents import What
    from clip_assets.core.search.index import IndexedVideo
    from clip_assets.settings import LibrarySettings

    Picture = str | Path | bytes | Image


class Library:
    """Videos whose features are stored, to be asked and read; safe to use from several threads."""

    def __init__(self, settings: LibrarySettings) -> None:
        self._settings = settings
        self._store = Store(settings.output)
        self._rows = StoredRows(self._store)
        folder = user_cache_folder()
        where = digest({"output": str(self._store.root)})[:32]
        self._upkeep = Upkeep(ShotCache(folder / "search" / where), self._store, settings.source, same_shot_cosine)
        self._encoders = Encoders(settings, TextCache(folder / "texts.sqlite"))
        self._comparing = Comparing(self._upkeep)

    @property
    def source(self) -> VideoSource:
        """The videos."""
        return self._settings.source

    def find(
        self,
        sentence: str | None = None,
        *,
        text: str | Sequence[str] = (),
        image: Picture | Sequence[Picture] = (),
        like: str | Sequence[str] = (),
        without: str | Sequence[str] = (),
        top: int = 20,
        per_video: int = 3,
        min_score: float | None = None,
        under: str = "",
        refresh: bool = False,
    ) -> Moments:
        """The moments that go best with what is asked for: a sentence, or a sum of several things.

        Args:
            sentence: What to look for, as in "a dog smiles".
            text: Sentences, each perhaps with a weight, as in "a dog:0.5".
            image: Pictures: files (perhaps with a weight), bytes of files, or PIL's.
            like: Moments of videos of the library, as in "sports/lifting.mp4@12.3" or "...@12-15", in seconds.
            without: Sentences that it should be unlike; their weight is -0.5 unless they say another.
            top: The most moments.
            per_video: The most moments of a video.
            min_score: The least score.
            under: Only videos in this folder.
            refresh: Compare the whole library first.

        Raises:
            QueryError: Nothing is asked for, or something that can't be.
            TextError: A sentence is longer than the model takes.
            ModelError: The model's weights can't be had.
            StoreError: What is stored can't be read.
        """
        if top < 1 or per_video < 1:
            raise QueryError(f"top is {top} and per_video {per_video}; allowed is 1 and more.")
        sentences = asked_sentences(sentence, text, without)
        self._comparing.compare(refresh)
        census = self._upkeep.census()
        model, weights = self._encoders.model_of(census)
        if weights not in census.states:
            return Moments((), notes=self._notes(model, weights, sentences), as_of=self._as_of())
        encoder = self._encoders.encoder(model, weights)
        parts = self._parts(encoder, sentences, image, like)
        wanted = Wanted(sum_of(parts), top, per_video, min_score, under)
        answer = ask(self._upkeep, self._rows, weights, wanted)
        alone = sentences[0][0] if len(parts) == len(sentences) == 1 and sentences[0][1] > 0 else None
        likely = likelihoods_of(encoder, model, alone, answer.moments) if alone else [None] * len(answer.moments)
        moments = tuple(self._moment(one, of, model) for one, of in zip(answer.moments, likely, strict=True))
        names = names_with(alone, (key for key in self._keys(weights) if is_under(key, under))) if alone else ()
        return Moments(moments, names, self._notes(model, weights, sentences), self._as_of())

    def scores(
        self,
        key: str,
        sentence: str | None = None,
        *,
        text: str | Sequence[str] = (),
        image: Picture | Sequence[Picture] = (),
        like: str | Sequence[str] = (),
        without: str | Sequence[str] = (),
    ) -> Scores:
        """How well each sample of a video goes with what is asked for; see `find`.

        Raises:
            QueryError: The video isn't in the library, nothing is asked for, or something that can't be.
            TextError: A sentence is longer than the model takes.
            ModelError: The model's weights can't be had.
            StoreError: What is stored can't be read.
        """
        sentences = asked_sentences(sentence, text, without)
        self._comparing.compare()
        model, weights = self._encoders.model_of(self._upkeep.census())
        video = self._searched(weights, key)
        vector = sum_of(self._parts(self._encoders.encoder(model, weights), sentences, image, like))
        (features,) = self._rows(video, [(0, video.rows)])
        return Scores(self._rows.times(video), unit_rows(features) @ vector, video.duration_ms)

    def similar(self, key: str, top: int = 10, *, refresh: bool = False) -> tuple[SimilarVideo, ...]:
        """The videos whose content is most like that of a video, the most alike first.

        Raises:
            QueryError: The video isn't in the library.
        """
        self._comparing.compare(refresh)
        _, weights = self._encoders.model_of(self._upkeep.census())
        index = self._upkeep.cache.index(weights)
        places = {video.key: place for place, video in enumerate(index.videos)}
        if key not in places:
            raise QueryError(f"{key!r} isn't among the {len(places)} videos that are searched.")
        vectors = index.video_vectors()
        scores = vectors @ vectors[places[key]]
        scores[places[key]] = -np.inf
        directories, found = [], []
        for place in np.argsort(-scores, kind="stable")[:top].tolist():
            if np.isfinite(scores[place]):
                directories.append(index.videos[place].directory)
                found.append(SimilarVideo(index.videos[place].key, float(scores[place])))
        if not self._upkeep.confirm([index.videos[places[key]].directory, *directories]):
            return self.similar(key, top)
        return tuple(found)

    def videos(self) -> tuple[str, ...]:
        """The keys of the videos that are searched."""
        self._comparing.compare()
        return self._keys(self._encoders.model_of(self._upkeep.census())[1])

    def features(self, key: str) -> ClipFeatures:
        """The stored features of a video, checked against their digests.

        Raises:
            ResultMissingError: None are stored.
            ResultCorruptError: Their bytes aren't those that were written.
        """
        return self._store.read(FEATURES, key, ClipFeatures)

    def shots(self, key: str) -> Shots:
        """The shots of a video: the stored ones, or computed from its features.

        Raises:
            ResultMissingError: No features are stored.
            ResultCorruptError: Their bytes aren't those that were written.
        """
        manifest = self._store.manifest(FEATURES, key)
        if manifest is None:
            raise ResultMissingError(f"No features are stored for {key!r} in {self._store.root}.")
        return shots_of(self._store, manifest, same_shot_cosine(str(manifest.parameters.get("model_name", ""))))

    def rows(self, what: What = "features", *, under: str = "", float16: bool = False) -> Rows:
        """What is stored of the videos that are searched, to be read as a table or exported.

        Args:
            what: What a row is of: a sampled frame's feature, a shot, or a sampled frame's probabilities.
            under: Only videos in this folder.
            float16: Whether vectors are rounded to half precision.

        Raises:
            ExportError: Nothing is stored of them.
            StoreError: What is stored can't be read.
        """
        from clip_assets.asking.rows import stored_rows  # who asks doesn't wait for it

        self.refresh()
        model = self._encoders.model_of(self._upkeep.census())
        return stored_rows(self._store, self._upkeep, self.source, model, what, under, float16)

    def to_arrow(self, what: What = "features", *, under: str = "", float16: bool = False) -> pa.Table:
        """All `rows` in memory; model and data versions are in the schema's metadata.

        Raises:
            ExportError: Nothing is stored of them, or pyarrow isn't installed.
            StoreError: What is stored can't be read.
        """
        return self.rows(what, under=under, float16=float16).to_arrow()

    def to_pandas(self, what: What = "features", *, under: str = "", float16: bool = False) -> pd.DataFrame:
        """All `rows` as a data frame, in whose vectors' columns each cell is an array; raises as `to_arrow` does."""
        return self.rows(what, under=under, float16=float16).to_arrow().to_pandas()

    def count(self) -> int:
        """How many videos have features, whatever their model and state, as far as is known."""
        return self._upkeep.count()

    def refresh(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compare the whole library with what is searched; see `Comparing.refresh`."""
        self._comparing.refresh(progress)

    def compare_if_small(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compare the library before the first question, if that is quickly done; see `Comparing.if_small`."""
        self._comparing.if_small(progress)

    def prepare(self) -> bool:
        """Do what the first question would wait for: compare the library, load the model, encode the usual sentences.

        Returns:
            False where the model's weights aren't on this machine, so that the first question downloads them.

        Raises:
            ModelError: The model can't be loaded, or isn't that of the features.
            StoreError: What is stored can't be read.
        """
        self._comparing.compare()
        census = self._upkeep.census()
        model, weights = self._encoders.model_of(census)
        if weights not in census.states:
            return True
        if is_model(model) and not weights_are_here(model, folder=self._settings.weights):
            return False
        encoder, texts = self._encoders.encoder(model, weights), default_texts(model)
        encoder.model().encode_texts(texts[:1])  # even if all are known: it makes the tokenizer
        encoder.sentences(texts)
        self._upkeep.cache.index(weights)
        return True

    def wait(self) -> None:
        """Wait until a comparison in the background is done."""
        self._comparing.wait()

    def _parts(
        self,
        encoder: QueryEncoder,
        sentences: Sequence[tuple[str, float]],
        image: Picture | Sequence[Picture],
        like: str | Sequence[str],
    ) -> list[Part]:
        """All that is asked for, as vectors with their weights."""
        parts = sentence_parts(encoder, sentences)
        parts += [picture_part(encoder, picture) for picture in several(image)]
        return parts + [self._place_part(encoder.weights, words) for words in several(like)]

    def _searched(self, weights: str, key: str) -> IndexedVideo:
        """A video of the index, as it is stored by now."""
        videos = self._upkeep.cache.index(weights).videos
        found = next((video for video in videos if video.key == key), None)
        if found is None:
            raise QueryError(f"{key!r} isn't among the {len(videos)} videos that are searched.")
        return found if self._upkeep.confirm([found.directory]) else self._searched(weights, key)

    def _place_part(self, weights: str, words: str) -> tuple[NDArray[np.floating], float]:
        words, weight = split_weight(words)
        place = parse_place(words)
        video = self._searched(weights, place.key)
        first, end = rows_at(place, self._rows.times(video), video.duration_ms)
        (features,) = self._rows(video, [(first, end)])
        units = features / np.linalg.norm(features, axis=1, keepdims=True)
        return np.nan_to_num(units).mean(axis=0), weight

    def _moment(self, found: Found, likely: Likelihood | None, model: str) -> Moment:
        return Moment(
            found.video.key,
            *span_ms(found, self._rows),
            score=found.score,
            probability=likely.probability if likely else None,
            fits_better=subject(likely.fits_better, model) if likely else "",
            also_in=tuple(video.key for video in found.also_in),
            score_kind=likely.score_kind if likely else "",
            _thumbnail=functools.partial(self._thumbnail, found),
        )

    def _thumbnail(self, found: Found) -> Image:
        from clip_assets.core.search.thumbnail import thumbnail_of

        return thumbnail_of(found, self._store, self._settings.source)

    def _keys(self, weights: str) -> tuple[str, ...]:
        return tuple(video.key for video in self._upkeep.cache.index(weights).videos)

    def _notes(self, model: str, weights: str, sentences: Sequence[tuple[str, float]]) -> tuple[str, ...]:
        """What the reader of an answer should know."""
        told = [*notes_of(self._upkeep.census(), weights, self._settings.source.where())]
        if trouble := self._comparing.trouble:
            told.append(f"The library couldn't be compared: {trouble}")
        if is_model(model) and not all(words.isascii() for words, _ in sentences):
            told += filter(None, [family_of(model).language_note])
        return tuple(told)

    def _as_of(self) -> datetime | None:
        looked_at = self._upkeep.cache.looked_at()
        return datetime.fromtimestamp(looked_at, UTC) if looked_at else None
