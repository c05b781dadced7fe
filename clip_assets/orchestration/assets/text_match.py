"""How well each sampled frame matches each of a few sentences."""

import time
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from clip_assets.core.errors import ClipAssetsError, OtherModelError
from clip_assets.core.matching import match_texts, stretches, text_parameters
from clip_assets.core.picture import Picture
from clip_assets.core.pictures.analysis import sparkline, strongest
from clip_assets.core.pictures.results import MAX_SENTENCES, best_frames, probabilities_over_time
from clip_assets.core.records import TextMatch
from clip_assets.default_texts import default_texts
from clip_assets.models import family_of
from clip_assets.orchestration.assets.catalogue import ArrayDoc, catalogue_entry
from clip_assets.orchestration.assets.common import ForceConfig, draw, kept_pictures, table, want_each
from clip_assets.orchestration.failures import every_video_s_fault
from clip_assets.orchestration.io_managers import StoredResults
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.resources import clip_model_of
from clip_assets.orchestration.run_progress import Progress
from clip_assets.orchestration.work import Computed, Failed, Work
from clip_assets.results.facts import (
    FACT_COLUMNS,
    LINE_COLUMNS,
    STRETCH_COLUMNS,
    at_a_glance,
    match_rows,
    plotted,
    stretch_rows,
)
from clip_assets.results.parameters import match_parameters
from clip_assets.results.summaries import FrameSummary, MatchSummary
from clip_assets.settings import LibrarySettings

MAX_STRETCHES = 50
"""Rows of the table of stretches that a materialization shows."""

INTRO = """The probability that each sampled frame matches each sentence, by the model's score of logit scale times
cosine: a softmax over the sentences, or a sigmoid for each by itself. Needs no video and no image
encoder, so other sentences cost nothing but this step; frames are shown from the small pictures that clip_features
keeps."""

ARRAYS = [
    ArrayDoc("texts", "(N,)", "str", "the sentences, in the order given"),
    ArrayDoc("probabilities", "(T, N)", "float64", "with softmax rows sum to 1; with sigmoid each stands for itself"),
    ArrayDoc("logits", "(T, N)", "float64", "logit scale times cosine, plus the model's bias if it has one"),
    ArrayDoc("timestamps_ms", "(T,)", "float64", "ms, the sample's time"),
    ArrayDoc("score_kind", "()", "str", "what made the probabilities: softmax or sigmoid"),
]


def build(settings: LibrarySettings, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The asset; the deployment's sentences are the default of its run config."""

    class TextMatchConfig(ForceConfig):
        """Which sentences to match."""

        pred_texts: list[str] | None = Field(
            default=settings.pred_texts,
            description="Sentences; null: 'a photo of {class}' for the 400 Kinetics classes, or the demo model's own.",
        )

    names = LibraryNames.of(settings)

    @dg.asset(
        ins=names.ins("clip_features"),
        required_resource_keys={names("clip_model")},
        kinds={family_of(settings.model_name).name, "pytorch", "numpy"},
        **catalogue_entry("text_match", settings, partitions, INTRO, ARRAYS),
    )
    @every_video_s_fault()
    def text_match(
        context: dg.AssetExecutionContext, config: TextMatchConfig, clip_features: StoredResults
    ) -> dg.Output[Work]:
        clip_model = clip_model_of(context, names)
        texts = tuple(config.pred_texts or default_texts(clip_model.model_name))
        weights, asked = clip_model.sha256(), text_parameters(texts)
        wanted, failed = want_each(
            context.partition_keys,
            lambda key: match_parameters(_of_this_model(key, clip_features, clip_model.model_name, weights), asked),
        )

        def compute(keys: Sequence[str], _: Progress) -> Generator[Computed | Failed]:
            model = clip_model.models()[0]
            text_features = model.encode_texts(texts)
            for key in keys:
                began = time.perf_counter()
                try:
                    features = clip_features[key]
                    match = match_texts(features.clip, text_features, model.score, texts, features.timestamps_ms)
                except ClipAssetsError as error:
                    yield Failed(key, error)
                else:
                    summary = _summary(match, _duration_ms(key, clip_features), time.perf_counter() - began)
                    pictures = []
                    if settings.pictures == "on":
                        best = partial(_best_frames, clip_features, key, match, features.indices)
                        pictures = draw(context.log, key, partial(probabilities_over_time, match), best)
                    yield Computed(key, match, wanted[key], summary.to_store(), pictures)

        return Work(
            wanted,
            failed,
            compute,
            describe=_describe,
            force=config.force,
            exclusively=partial(clip_model.exclusively, context.log.info),
        ).output()

    return text_match


def _of_this_model(key: str, clip_features: StoredResults, model_name: str, weights_sha256: str) -> Mapping[str, Any]:
    """What the stored features were made from, unless by another model than the one that encodes the sentences."""
    made = clip_features.parameters(key)
    if made["weights_sha256"] != weights_sha256:
        raise OtherModelError(
            f"The features of {key!r} were made by {made['model_name']} (weights {made['weights_sha256'][:12]}), and "
            f"the sentences would be encoded by {model_name} (weights {weights_sha256[:12]})."
        )
    return made


def _duration_ms(key: str, clip_features: StoredResults) -> float:
    """Where a video ends, as its frame indices tell; 0 where they are no more there."""
    frames = clip_features.store.manifest("frame_indices", key)
    return 1000 * (FrameSummary.read(frames.summary).duration_seconds or 0.0) if frames else 0.0


def _summary(match: TextMatch, duration_ms: float, seconds: float) -> MatchSummary:
    found = stretches(match, duration_ms)
    return MatchSummary(
        frames=len(match.timestamps_ms),
        texts=len(match.texts),
        stretches=tuple(found[:MAX_STRETCHES]),
        stretch_count=len(found),
        lines=tuple(_lines(match)),
        score_kind=match.score_kind,
        seconds=seconds,
        frames_per_second=len(match.timestamps_ms) / seconds,
    )


def _lines(match: TextMatch) -> list[tuple[str, str, float, float]]:
    """The strongest sentences, each with its probability over time as text, its peak and the peak's time."""
    lines = []
    for place in strongest(match, MAX_SENTENCES):
        probabilities = match.probabilities[:, place]
        row = int(probabilities.argmax())
        peak, seconds = probabilities[row].item(), match.timestamps_ms[row].item() / 1000
        lines.append((match.texts[place], sparkline(probabilities, 40, 0, 1), round(peak, 4), round(seconds, 3)))
    return lines


def _best_frames(
    clip_features: StoredResults, key: str, match: TextMatch, indices: NDArray[np.int64]
) -> Picture | None:
    """The best frame of each sentence, if small pictures were kept when the frames were encoded."""
    kept = kept_pictures(clip_features, key)
    return best_frames(kept, match, indices) if kept else None


def _describe(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    summary = MatchSummary.read(stored)
    return {
        "at_a_glance": at_a_glance(summary),
        "match": table(FACT_COLUMNS, match_rows(summary)),
        "over_time": table(LINE_COLUMNS, summary.lines),
        "stretches": table(STRETCH_COLUMNS, stretch_rows(summary)),
        **plotted(summary, "frames", "texts", "stretch_count", "seconds", "frames_per_second"),
    }
