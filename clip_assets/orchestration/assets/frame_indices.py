"""Which frames of each video are sampled, and when they are on screen."""

import time
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import dagster as dg
from pydantic import Field

from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.pictures.analysis import frame_spacing
from clip_assets.core.pictures.results import sampled_frames
from clip_assets.core.records import FrameIndices, VideoProbe
from clip_assets.core.sampling import FrameSelection, Sampling, sample
from clip_assets.core.video import check_whole
from clip_assets.orchestration.assets.catalogue import ArrayDoc, catalogue_entry
from clip_assets.orchestration.assets.common import ForceConfig, draw, table, want_each
from clip_assets.orchestration.failures import every_video_s_fault
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.resources import video_library_of
from clip_assets.orchestration.run_progress import Progress
from clip_assets.orchestration.work import Computed, Failed, Work
from clip_assets.results.facts import FACT_COLUMNS, plotted, source_rows
from clip_assets.results.parameters import frame_parameters, frames_sha256
from clip_assets.results.summaries import FrameSummary
from clip_assets.settings import LibrarySettings

INTRO = """Which frames of the video are sampled, and when each is on screen. Cheap: look at the contact sheet of a
partition before you spend time on features."""

ARRAYS = [
    ArrayDoc("indices", "(T,)", "int64", "frame, 0-based in presentation order of the source"),
    ArrayDoc("timestamps_ms", "(T,)", "float64", "ms, the sample's time"),
    ArrayDoc("source_timestamps_ms", "(T,)", "float64", "ms, when that frame is on screen"),
    ArrayDoc("fps", "()", "float64", "frames per second, the source's average rate"),
    ArrayDoc("frame_count", "()", "int64", "frames of the source"),
    ArrayDoc("width", "()", "int64", "pixels of the source, after rotation"),
    ArrayDoc("height", "()", "int64", "pixels of the source, after rotation"),
    ArrayDoc("duration_ms", "()", "float64", "ms, to the end of the source's last frame"),
]


def build(settings: LibrarySettings, partitions: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    """The asset; the deployment's sampling is the default of its run config."""

    class SamplingConfig(ForceConfig):
        """Which frames to take."""

        extraction_fps: float | None = Field(
            default=settings.extraction_fps, description="Samples per second; null: every frame."
        )
        extraction_total: int | None = Field(
            default=settings.extraction_total, description="Samples in all, evenly spaced; excludes extraction_fps."
        )
        frame_selection: FrameSelection = Field(
            default=settings.frame_selection,
            description="The frame on screen at a sample's time, or the one that ffmpeg's fps filter emits.",
        )

    names = LibraryNames.of(settings)

    @dg.asset(
        deps=[names.videos],
        required_resource_keys={names("library")},
        kinds={"python", "numpy"},
        **catalogue_entry("frame_indices", settings, partitions, INTRO, ARRAYS),
    )
    @every_video_s_fault()
    def frame_indices(context: dg.AssetExecutionContext, config: SamplingConfig) -> dg.Output[Work]:
        library = video_library_of(context, names)
        sampling = Sampling(config.extraction_fps, config.extraction_total, config.frame_selection)
        batch = context.partition_keys
        signatures = library.signatures(batch)
        wanted, failed = want_each(batch, lambda key: frame_parameters(library.fingerprint(key), sampling))

        def compute(keys: Sequence[str], _: Progress) -> Generator[Computed | Failed]:
            following = dict(pairwise(keys))
            for key in keys:
                try:
                    with library.held(key, following.get(key)):
                        computed = of_video(key)
                except ClipAssetsError as error:
                    yield Failed(key, error)
                else:
                    yield computed

        def of_video(key: str) -> Computed:
            began = time.perf_counter()
            source = library.probe(key)
            if settings.on_damage == "fail":
                check_whole(source)
            frames = sample(source, sampling)
            summary = _summary(source, frames, time.perf_counter() - began)
            pictures = []
            if settings.pictures == "on":
                pictures = draw(context.log, key, partial(sampled_frames, source, frames, settings.video_timeout))
            return Computed(key, frames, wanted[key], summary.to_store(), pictures, library.source_stat(key))

        return Work(wanted, failed, compute, describe=_describe, force=config.force, signatures=signatures).output()

    return frame_indices


def _summary(source: VideoProbe, frames: FrameIndices, seconds: float) -> FrameSummary:
    return FrameSummary(
        frames=len(frames.indices),
        source_frames=source.frame_count,
        fps=source.fps,
        duration_seconds=source.duration_ms / 1000,
        size=f"{source.width} x {source.height}",
        colours=source.colours,
        rotation=source.rotation,
        codec=source.codec,
        container=source.container,
        video_stream=1 + source.video_streams.index(source.stream_index),
        video_streams=len(source.video_streams),
        end_is_known=source.end_is_known,
        treatment=source.treatment,
        times_are_assumed=source.times_are_assumed,
        frames_sha256=frames_sha256(frames),
        frame_spacing=frame_spacing(source.timestamps_ms),
        seconds=seconds,
        frames_per_second=len(frames.indices) / seconds,
    )


def _describe(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    summary = FrameSummary.read(stored)
    return {
        "source": table(FACT_COLUMNS, source_rows(summary)),
        **plotted(summary, "frames", "source_frames", "fps", "duration_seconds", "seconds", "frames_per_second"),
    }
