"""The shots of each video: stretches of samples that look alike."""

import time
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from typing import Any

import dagster as dg

from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.picture import Picture
from clip_assets.core.pictures.results import typical_frames
from clip_assets.core.records import ClipFeatures, Shots
from clip_assets.core.shots import find_shots, shot_parameters
from clip_assets.models import same_shot_cosine
from clip_assets.orchestration.assets.catalogue import ArrayDoc, catalogue_entry
from clip_assets.orchestration.assets.common import ForceConfig, draw, kept_pictures, table, want_each
from clip_assets.orchestration.failures import every_video_s_fault
from clip_assets.orchestration.io_managers import StoredResults
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.run_progress import Progress
from clip_assets.orchestration.work import Computed, Failed, Work
from clip_assets.results.facts import SHOT_COLUMNS, plotted, shot_rows
from clip_assets.results.parameters import Parameters
from clip_assets.results.summaries import ShotStretch, ShotSummary
from clip_assets.settings import LibrarySettings

MAX_SHOTS_TOLD = 50
"""Rows of the table of shots that a materialization shows."""

INTRO = """Stretches of samples that look alike, each with its mean: a cut is where a sample's cosine to the mean of
the shot so far drops below 0.9, or below what the model's family says instead. What a library is searched by; needs no
video and no model."""

ARRAYS = [
    ArrayDoc("means", "(S, D)", "float16", "mean of the shot's unit features, of norm 1"),
    ArrayDoc("first_rows", "(S,)", "int64", "the shot's first row in the features"),
    ArrayDoc("last_rows", "(S,)", "int64", "its last row"),
    ArrayDoc("from_ms", "(S,)", "float64", "ms, midway to the sample before; 0 for the first shot"),
    ArrayDoc("to_ms", "(S,)", "float64", "ms, midway to the sample after; the duration for the last shot"),
    ArrayDoc("typical_rows", "(S,)", "int64", "the row that is most like the shot's mean"),
    ArrayDoc("video", "(D,)", "float16", "mean of all unit features, of norm 1"),
]


def build(settings: LibrarySettings, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The asset."""

    @dg.asset(
        ins=LibraryNames.of(settings).ins("frame_indices", "clip_features"),
        kinds={"python", "numpy"},
        **catalogue_entry("shots", settings, partitions, INTRO, ARRAYS),
    )
    @every_video_s_fault()
    def shots(
        context: dg.AssetExecutionContext,
        config: ForceConfig,
        frame_indices: StoredResults,
        clip_features: StoredResults,
    ) -> dg.Output[Work]:
        wanted, failed = want_each(context.partition_keys, lambda key: _wanted(clip_features.parameters(key)))

        def compute(keys: Sequence[str], _: Progress) -> Generator[Computed | Failed]:
            for key in keys:
                began = time.perf_counter()
                try:
                    features = clip_features[key]
                    found = find_shots(features, frame_indices[key].duration_ms, wanted[key]["same_shot_cosine"])
                except ClipAssetsError as error:
                    yield Failed(key, error)
                else:
                    summary = _summary(found, time.perf_counter() - began)
                    pictures = []
                    if settings.pictures == "on":
                        pictures = draw(context.log, key, partial(_typical_frames, clip_features, key, found, features))
                    yield Computed(key, found, wanted[key], summary.to_store(), pictures)

        return Work(wanted, failed, compute, describe=_describe, force=config.force).output()

    return shots


def _wanted(features: Mapping[str, Any]) -> Parameters:
    return shot_parameters(features, same_shot_cosine(features["model_name"]))


def _summary(found: Shots, seconds: float) -> ShotSummary:
    rows = found.last_rows - found.first_rows + 1
    told = zip(found.from_ms.tolist(), found.to_ms.tolist(), rows.tolist(), strict=True)
    frames = int(rows.sum())
    return ShotSummary(
        frames=frames,
        shots=len(rows),
        stretches=tuple(ShotStretch(*stretch) for stretch in list(told)[:MAX_SHOTS_TOLD]),
        seconds=seconds,
        frames_per_second=frames / seconds,
    )


def _typical_frames(clip_features: StoredResults, key: str, found: Shots, features: ClipFeatures) -> Picture | None:
    """The most typical frame of each shot, if small pictures were kept when the frames were encoded."""
    kept = kept_pictures(clip_features, key)
    return typical_frames(kept, found, features.indices) if kept else None


def _describe(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    summary = ShotSummary.read(stored)
    return {
        "stretches": table(SHOT_COLUMNS, shot_rows(summary)),
        **plotted(summary, "frames", "shots", "seconds", "frames_per_second"),
    }
