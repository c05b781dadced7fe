"""Which frames of each video are sampled, and when they are on screen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import dagster as dg
from pydantic import Field

from clip_assets.assets.common import GROUP, OWNERS, VIDEOS_PER_RUN, ForceConfig
from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.records import FrameIndices, VideoProbe
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe
from clip_assets.partitions import videos_partitions
from clip_assets.resources import VideoLibrary
from clip_assets.settings import Settings
from clip_assets.work import Outcome, Work

DESCRIPTION = """Which frames of the video are sampled, and when.

| array | shape | dtype | unit |
|---|---|---|---|
| `indices` | (T,) | int64 | 0-based, in presentation order of the source |
| `timestamps_ms` | (T,) | float64 | ms, the sample's time |
| `source_timestamps_ms` | (T,) | float64 | ms, when that frame is on screen |
| `fps` | () | float64 | frames per second, the source's average rate |
| `frame_count`, `width`, `height` | () | int64 | frames and pixels of the source |
| `duration_ms` | () | float64 | ms, to the end of the source's last frame |
"""


def build_frame_indices(settings: Settings) -> dg.AssetsDefinition:
    """The asset, with the deployment's sampling as the defaults of its run config."""

    class SamplingConfig(ForceConfig):
        """Which frames to take; the defaults are the deployment's settings."""

        extraction_fps: float | None = Field(
            default=settings.extraction_fps, description="Samples per second; null: every frame."
        )
        extraction_total: int | None = Field(
            default=settings.extraction_total, description="Samples in all, evenly spaced; excludes extraction_fps."
        )
        frame_selection: Literal["on_screen", "ffmpeg"] = Field(
            default=settings.frame_selection,
            description="The frame on screen at a sample's time, or the one that ffmpeg's fps filter emits.",
        )
