"""Decoded frames to RGB, upright, HDR as an SDR screen shows it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clip_assets.core.video_tone import hdr_transfer, tone_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.filter import Graph
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Filter = tuple[str, str | None]


class RgbConverter:
    """Frames of one stream to RGB as players show them: colours by the frame's tags, turned by its display matrix.

    PQ and HLG, the transfer functions of HDR, are mapped to SDR (`core.video_tone`).

    It keeps one scaler, since setting one up costs more than converting a small picture, and turns pictures before
    they become RGB, which takes half the memory traffic.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._shape: tuple[int, int, str] | None = None
        self._turn: Graph | None = None

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The picture, uint8 (H, W, 3), contiguous."""
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._shape = shape
            self._turn = _turning_graph(frame)
        if self._turn is not None:
            self._turn.vpush(frame)
            frame = self._turn.vpull()
        if transfer := hdr_transfer(frame):
            signal = self._reformatter.reformat(frame, format="rgb48le", threads=1).to_ndarray()
            return tone_map(transfer, frame.color_primaries)(signal.astype(np.uint16, copy=False))
        rgb = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(rgb, dtype=np.uint8)


def clockwise_rotation(frame: VideoFrame) -> int:
    """Degrees, 0, 90, 180 or 270, by which the frame's display matrix turns it clockwise."""
    return round(-frame.rotation / 90) % 4 * 90


def upright_filters(frame: VideoFrame) -> list[Filter]:
    """FFmpeg's filters, with their argument, that turn and mirror a frame as its display matrix says.

    The choice is that of FFmpeg's command line (`fftools/ffmpeg_filter.c`, automatic rotation).
    """
    data = cast("Mapping[str, Any]", frame.side_data).get("DISPLAYMATRIX")
    if data is None:
        return []
    matrix = np.frombuffer(data, dtype=np.int32)
    rotation = clockwise_rotation(frame)
    if rotation == 90:
        return [("transpose", "cclock_flip" if matrix[3] > 0 else "clock")]
    if rotation == 270:
        return [("transpose", "clock_flip" if matrix[3] < 0 else "cclock")]
    mirror: list[Filter] = [("hflip", None)] if rotation == 180 and matrix[0] < 0 else []
    return [*mirror, ("vflip", None)] if matrix[4] < 0 else mirror


def _turning_graph(frame: VideoFrame) -> Graph | None:
    """A filter graph that makes frames like this one upright; None if they are."""
    from av.filter import Graph

    filters = upright_filters(frame)
    if not filters:
        return None
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1))
    graph.link_nodes(source, *(graph.add(*filter) for filter in filters), graph.add("buffersink")).configure()
    return graph
