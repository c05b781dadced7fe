"""Parts of videos as files of their own: cut at exact times, encoded anew, without sound."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.records import ticks_to_ms
from clip_assets.core.video.frames import decode, probe

if TYPE_CHECKING:
    from av import Packet
    from av.container import OutputContainer
    from av.video.codeccontext import VideoCodecContext

_QUALITY = {"crf": "18", "preset": "veryfast", "bf": "0"}  # without B-frames MP4 keeps the exact length


def cut(video: Path, from_ms: float, to_ms: float, target: Path, side: int | None = None) -> None:
    """Write what is on screen between two times to an MP4 file: H.264, each frame for as long as in the video.

    Args:
        video: The file.
        from_ms: Where to begin; the frame that is on screen then comes first.
        to_ms: Where to end.
        target: The file to write; one that is there is replaced.
        side: Pixels of the longer side, where the video's is longer; None: as large as the video.

    Raises:
        VideoError: The video can't be read, or shows nothing then.
    """
    import av

    source = probe(video)
    edges = np.append(ticks_to_ms(source.pts, source.time_base), source.duration_ms)
    indices = np.flatnonzero((edges[:-1] < to_ms) & (edges[1:] > from_ms)).astype(np.int64)
    if len(indices) == 0:
        raise VideoUnreadableError(f"{video} shows nothing from {from_ms / 1000:g} s to {to_ms / 1000:g} s.")
    begin, end = (round(time / 1000 / float(source.time_base)) for time in (from_ms, to_ms))
    starts = [0, *(source.pts[indices[1:]] - begin).tolist(), min(end, source.end_pts) - begin]
    durations = {start: stop - start for start, stop in pairwise(starts)}
    with (
        decode(source, indices, on_damage="keep") as frames,
        av.open(str(target), "w", format="mp4") as output,
    ):
        stream = output.add_stream("libx264", options=_QUALITY)
        scale = min(1.0, side / max(source.width, source.height)) if side else 1.0
        stream.width, stream.height = (max(2, int(scale * size) // 2 * 2) for size in (source.width, source.height))
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = source.time_base
        stream.codec_context.sample_aspect_ratio = source.sample_aspect_ratio
        _say_colours(stream.codec_context)
        places = {int(index): place for place, index in enumerate(indices)}
        for frame in frames:
            pixels = frame.rgb if scale < 1 else np.ascontiguousarray(frame.rgb[: stream.height, : stream.width])
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if scale < 1:
                picture = picture.reformat(stream.width, stream.height)
            picture.pts, picture.time_base = starts[places[frame.index]], source.time_base
            _mux(output, stream.encode(picture), durations)
        _mux(output, stream.encode(None), durations)


def _say_colours(encoder: VideoCodecContext) -> None:
    """Name the colours that the frames are encoded in; players guess them by the size where nobody does."""
    encoder.color_primaries, encoder.color_trc = 1, 1  # BT.709, whose red, green and blue are those of sRGB
    encoder.colorspace = 6  # BT.601, what FFmpeg makes of RGB
    encoder.color_range = 1  # limited


def _mux(output: OutputContainer, packets: list[Packet], durations: dict[int, int]) -> None:
    """Write packets with their durations, which the encoder drops: without them the last frame's is lost."""
    for packet in packets:
        if packet.pts is not None:
            packet.duration = durations[packet.pts]
        output.mux(packet)
