"""One CLIP feature per sampled frame."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg

from clip_assets.assets.common import GROUP, OWNERS, ForceConfig, want_each
from clip_assets.core.decoding import PipelineOptions, VideoJob
from clip_assets.core.errors import ClipAssetsError, VideoChangedError
from clip_assets.core.model import ClipModel
from clip_assets.core.pipeline import Extracted, ExtractionFailed, extract_features
from clip_assets.io_managers import StoredResults
from clip_assets.partitions import videos_partitions
from clip_assets.resources import ClipModelResource, VideoLibrary
from clip_assets.settings import Settings
from clip_assets.work import Computed, Failed, Work

DESCRIPTION = """One CLIP feature per sampled frame: the image encoder's raw output, not normalised.

| array | shape | dtype | unit |
|---|---|---|---|
| `clip` | (T, D) | float32 | feature; D is 512 for ViT-B/32 |
| `timestamps_ms` | (T,) | float64 | ms, the sample's time |
| `source_timestamps_ms` | (T,) | float64 | ms, when the encoded frame is on screen |
| `indices` | (T,) | int64 | the encoded frame, 0-based in presentation order of the source |
| `fps` | () | float64 | frames per second, the source's average rate |
| `model_name`, `weights_sha256` | () | str | the model's identity |
| `damage` | () | str | what is missing of a damaged video that was kept; else empty |
"""


def build_clip_features(settings: Settings) -> dg.AssetsDefinition:
    """The asset; decoder and handling of damage are the deployment's."""

    @dg.asset(
        partitions_def=videos_partitions,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"numpy", "pytorch"},
        description=DESCRIPTION,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.videos_per_run),
    )
    def clip_features(
        context: dg.AssetExecutionContext,
        config: ForceConfig,
        frame_indices: StoredResults,
        library: VideoLibrary,
        clip_model: ClipModelResource,
    ) -> dg.Output[Work]:
        options = replace(settings.pipeline_options, batch_size=clip_model.gpu.batch_size)
        encoding = {**clip_model.parameters(), **options.parameters}
        wanted, failed = want_each(
            context.partition_keys, lambda key: {**_unchanged(key, frame_indices, library), **encoding}
        )

        def compute(keys: Sequence[str]) -> Generator[Computed | Failed]:
            unreadable: list[Failed] = []

            def jobs() -> Iterator[VideoJob]:
                for key in keys:
                    try:
                        yield VideoJob(key, library.path(key), frame_indices[key])
                    except ClipAssetsError as error:
                        unreadable.append(Failed(key, error))

            models = clip_model.models()
            for extracted in extract_features(jobs(), models, options):
                key = extracted.job.key
                if isinstance(extracted, ExtractionFailed):
                    yield Failed(key, extracted.error)
                else:
                    summary = _summary(extracted, models, options)
                    yield Computed(key, extracted.features, wanted[key], summary)
            yield from unreadable

        return Work(wanted, failed, compute, describe=dict, force=config.force).output()

    return clip_features


def _unchanged(key: str, frame_indices: StoredResults, library: VideoLibrary) -> Mapping[str, Any]:
    """What the stored frame indices were made from, unless the video is another by now."""
    sampled = frame_indices.parameters(key)
    if sampled["source"] != library.fingerprint(key):
        raise VideoChangedError(
            f"{library.path(key)} has changed since its frames were chosen. Materialize frame_indices of it again."
        )
    return sampled


def _summary(extracted: Extracted, models: Sequence[ClipModel], options: PipelineOptions) -> Mapping[str, Any]:
    features, seconds = extracted.features, extracted.seconds
    frames, width = features.clip.shape
    return {
        "frames": frames,
        "feature_width": width,
        "fps": features.fps,
        "model": features.model_name,
        "weights_sha256": features.weights_sha256,
        "device": ", ".join(model.device for model in models),
        "precision": models[0].precision,
        "decoder": options.decoder,
        "damage": features.damage or "none",
        "decode_seconds": seconds.decode,
        "preprocess_seconds": seconds.preprocess,
        "encode_seconds": seconds.encode,
        "seconds": seconds.elapsed,
        "frames_per_second": frames / seconds.elapsed,
    }
