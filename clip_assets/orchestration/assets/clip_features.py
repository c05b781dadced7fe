"""One CLIP feature per sampled frame."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import dagster as dg
import numpy as np

from clip_assets.core.errors import FramesOutdatedError, VideoChangedError
from clip_assets.core.model.bf16_advice import Bf16Advice
from clip_assets.core.model.clip_model import ClipModel
from clip_assets.core.pictures.analysis import changes, sparkline
from clip_assets.core.pictures.kept import KEPT_FRAMES, kept_sheet
from clip_assets.core.pictures.results import MAX_CUTS, change_over_time, similarity_over_time
from clip_assets.core.pipeline.decoding import PipelineOptions, VideoJob
from clip_assets.core.pipeline.features import Extracted, ExtractionFailed, extract_features
from clip_assets.core.records import FrameIndices, VideoProbe
from clip_assets.core.shots import cuts
from clip_assets.models import family_of, same_shot_cosine
from clip_assets.orchestration.assets.catalogue import ArrayDoc, catalogue_entry
from clip_assets.orchestration.assets.common import ForceConfig, draw, table, want_each
from clip_assets.orchestration.failures import every_video_s_fault
from clip_assets.orchestration.io_managers import StoredResults
from clip_assets.orchestration.library_names import GPU_POOL, LibraryNames
from clip_assets.orchestration.resources import VideoLibrary, clip_model_of, video_library_of
from clip_assets.orchestration.run_progress import Progress
from clip_assets.orchestration.work import Computed, Failed, Work
from clip_assets.results.facts import FACT_COLUMNS, SPEED_COLUMNS, feature_rows, plotted, speed_rows
from clip_assets.results.parameters import Parameters, encoding_parameters, feature_parameters, is_outdated, of_frames
from clip_assets.results.summaries import FeatureSummary, FrameSummary
from clip_assets.settings import LibrarySettings

MEASURED = (
    *("frames", "feature_width", "fps", "seconds", "frames_per_second"),
    *("decode_seconds", "preprocess_seconds", "encode_seconds"),
)
"""Numbers of the summary that the UI plots over materializations."""

NAMED = ("model", "weights_sha256", "precision", "device", "decoder", "damage")
"""Words of the summary that the UI shows beside its numbers."""

INTRO = "One CLIP feature per sampled frame: the image encoder's raw output, not normalised."

ARRAYS = [
    ArrayDoc("clip", "(T, D)", "float32", "feature, no unit; D is 512 for ViT-B/32"),
    ArrayDoc("timestamps_ms", "(T,)", "float64", "ms, the sample's time"),
    ArrayDoc("source_timestamps_ms", "(T,)", "float64", "ms, when the encoded frame is on screen"),
    ArrayDoc("indices", "(T,)", "int64", "the encoded frame, 0-based in presentation order of the source"),
    ArrayDoc("fps", "()", "float64", "frames per second, the source's average rate"),
    ArrayDoc("model_name", "()", "str", "the model's name"),
    ArrayDoc("weights_sha256", "()", "str", "the model's identity: a digest of its files"),
    ArrayDoc("damage", "()", "str", "what is missing of a damaged video that was kept; else empty"),
]


def build(settings: LibrarySettings, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The asset; decoder and handling of damage are the deployment's."""

    names = LibraryNames.of(settings)

    @dg.asset(
        ins=names.ins("frame_indices"),
        required_resource_keys={names("library"), names("clip_model")},
        pool=GPU_POOL,
        kinds={family_of(settings.model_name).name, "pytorch", "numpy"},
        **catalogue_entry("clip_features", settings, partitions, INTRO, ARRAYS),
    )
    @every_video_s_fault()
    def clip_features(
        context: dg.AssetExecutionContext, config: ForceConfig, frame_indices: StoredResults
    ) -> dg.Output[Work]:
        library, clip_model = video_library_of(context, names), clip_model_of(context, names)
        options = replace(
            settings.pipeline_options,
            batch_size=clip_model.gpu.batch_size,
            thumbnails=KEPT_FRAMES if settings.pictures == "on" else 0,
        )
        encoding = encoding_parameters(clip_model.parameters(), options)
        batch = context.partition_keys
        signatures = library.signatures(batch)
        wanted, failed = want_each(batch, lambda key: _wanted(key, frame_indices, library, encoding, config.force))

        def compute(keys: Sequence[str], progress: Progress) -> Generator[Computed | Failed]:
            def plan(key: str) -> tuple[VideoProbe, FrameIndices]:
                _check_unchanged(key, wanted[key]["source"], library)  # hours may have gone by
                return library.probe(key), frame_indices[key]

            following = dict(pairwise(keys))
            jobs = (VideoJob(key, partial(plan, key), partial(library.held, key, following.get(key))) for key in keys)
            models = clip_model.models()
            advice = Bf16Advice(models[0], context.log.info)

            def on_encoded(count: int) -> None:
                progress.add_frames(count)
                advice.encoded(count, progress.frames)

            for extracted in extract_features(jobs, models, options, on_encoded):
                key = extracted.job.key
                if isinstance(extracted, ExtractionFailed):
                    yield Failed(key, extracted.error)
                else:
                    summary = _summary(extracted, models, options)
                    pictures = []
                    if settings.pictures == "on":
                        pictures = draw(
                            context.log,
                            key,
                            partial(similarity_over_time, extracted.features),
                            partial(change_over_time, extracted.features, same_shot_cosine(models[0].name)),
                            partial(kept_sheet, extracted.thumbnails),
                        )
                    stat = library.source_stat(key)
                    yield Computed(key, extracted.features, wanted[key], summary.to_store(), pictures, stat)

        return Work(
            wanted,
            failed,
            compute,
            describe=_describe,
            force=config.force,
            signatures=signatures,
            frames=partial(_frames_to_encode, frame_indices),
            exclusively=partial(clip_model.exclusively, context.log.info),
        ).output()

    return clip_features


def _check_unchanged(key: str, source: str, library: VideoLibrary) -> None:
    """Refuse a video whose content is another than the one that was sampled."""
    if source != library.fingerprint(key):
        raise VideoChangedError(f"{library.where(key)} has changed since its frames were chosen.")


def _wanted(
    key: str, frame_indices: StoredResults, library: VideoLibrary, encoding: Parameters, force: bool
) -> Parameters:
    """What the features of a partition are made from: of this video, and of frames that today's version would choose.

    Raises:
        VideoChangedError: The video is another by now.
        FramesOutdatedError: An older version chose the frames, and the features aren't stored.
    """
    chosen = frame_indices.manifest(key)
    _check_unchanged(key, chosen.parameters["source"], library)
    stored = frame_indices.store.manifest("clip_features", key)
    features = feature_parameters(chosen.parameters, encoding)
    wanted = of_frames(features, FrameSummary.read(chosen.summary), stored, frame_indices.store)
    if is_outdated(chosen.parameters) and (force or stored is None or stored.parameters != wanted):
        raise FramesOutdatedError(
            f"The frames of {key!r} were chosen by an older version of clip_assets, which may have read other times."
        )
    return wanted


def _frames_to_encode(frame_indices: StoredResults, keys: Sequence[str]) -> int:
    """How many frames will be encoded: a frame that is sampled several times counts once."""
    summaries = [FrameSummary.read(frame_indices.summary(key)) for key in keys]
    return sum(min(summary.frames or 0, summary.source_frames or 0) for summary in summaries)


def _summary(extracted: Extracted, models: Sequence[ClipModel], options: PipelineOptions) -> FeatureSummary:
    features, seconds = extracted.features, extracted.seconds
    frames, width = features.clip.shape
    norms = np.linalg.norm(features.clip, axis=1)
    change = changes(features.clip)
    cut = cuts(features.clip, MAX_CUTS, same_shot_cosine(features.model_name))
    return FeatureSummary(
        frames=frames,
        feature_width=width,
        fps=features.fps,
        model=features.model_name,
        weights_sha256=features.weights_sha256,
        device=", ".join(model.device for model in models),
        precision=models[0].precision,
        decoder=options.decoder,
        damage=features.damage or "none",
        decode_seconds=seconds.decode,
        preprocess_seconds=seconds.preprocess,
        encode_seconds=seconds.encode,
        seconds=seconds.elapsed,
        frames_per_second=frames / seconds.elapsed,
        norms=(round(float(norms.min()), 3), round(float(norms.mean()), 3), round(float(norms.max()), 3)),
        change=sparkline(change, 60, 0.0, float(change.max(initial=0.0))),
        cuts_seconds=tuple((features.timestamps_ms[cut] / 1000).tolist()),
    )


def _describe(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    summary = FeatureSummary.read(stored)
    words = {name: getattr(summary, name) for name in NAMED}
    return {
        "features": table(FACT_COLUMNS, feature_rows(summary)),
        "speed": table(SPEED_COLUMNS, speed_rows(summary)),
        **plotted(summary, *MEASURED),
        **{name: value for name, value in words.items() if value is not None},
    }
