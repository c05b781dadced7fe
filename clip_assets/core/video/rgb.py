"""Decoded frames to RGB, cropped, upright, HDR as an SDR screen shows it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from clip_assets.core.records import Crop
from clip_assets.core.video.tone import hdr_transfer, tone_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.filter import Graph
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Filter = tuple[str, str | None]

# What swscale decodes colours by, as ITU-T H.273 numbers matrices; what isn't here it takes for BT.601's.
_MATRICES = {1: "BT.709", 4: "FCC", 5: "BT.601", 6: "BT.601", 7: "SMPTE 240M", 9: "BT.2020"}
_UNSPECIFIED = 2


class RgbConverter:
    """Frames of one stream to RGB as players show them: colours by the frame's tags, cropped and made upright.

    PQ and HLG, the transfer functions of HDR, are mapped to SDR (`tone`).

    It keeps one scaler, since setting one up costs more than converting a small picture, and turns pictures before
    they become RGB, which takes half the memory traffic.

    Args:
        crop: What the container wants to be left out.
    """

    def __init__(self, crop: Crop) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._upright = Upright(crop)

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """The picture, uint8 (H, W, 3), contiguous."""
        frame = self._upright(frame)
        if transfer := hdr_transfer(frame):
            signal = self._reformatter.reformat(frame, format="rgb48le", threads=1).to_ndarray()
            return tone_map(transfer, frame.color_primaries)(signal.astype(np.uint16, copy=False))
        rgb = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(rgb, dtype=np.uint8)


class Upright:
    """Frames of one stream, cropped as the container says and turned by their display matrix."""

    def __init__(self, crop: Crop) -> None:
        self._crop = crop
        self._shape: tuple[int, int, str] | None = None
        self._graph: Graph | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The frame itself, if there is nothing to do."""
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._shape = shape
            self._graph = _graph(frame, [*crop_filters(self._crop), *upright_filters(frame)])
        if self._graph is None:
            return frame
        self._graph.vpush(frame)
        return self._graph.vpull()


def crop_filters(crop: Crop) -> list[Filter]:
    """FFmpeg's filter, with its argument, that leaves out what the container wants to be; as its command line does.

    Sides are rounded to whole samples of colour.
    """
    if crop == Crop():
        return []
    size = f"w=iw-{crop.left}-{crop.right}:h=ih-{crop.top}-{crop.bottom}"
    return [("crop", f"{size}:x={crop.left}:y={crop.top}")]


def colour_matrix(frame: VideoFrame) -> str:
    """Which matrix a frame's colours are decoded by, and whether the stream says so, in words."""
    if frame.format.is_rgb:
        return "RGB"
    if frame.colorspace == _UNSPECIFIED:
        return "BT.601 assumed: the video doesn't say"
    return _MATRICES.get(frame.colorspace, f"BT.601 in place of matrix {frame.colorspace} of H.273")


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


def _graph(frame: VideoFrame, filters: list[Filter]) -> Graph | None:
    """A filter graph for frames like this one; None without filters."""
    from av.filter import Graph

    if not filters:
        return None
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1))
    graph.link_nodes(source, *(graph.add(*filter) for filter in filters), graph.add("buffersink")).configure()
    return graph
