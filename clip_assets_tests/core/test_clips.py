"""Parts of videos: they show what the video shows, in its colours, whatever their size."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from clip_assets.core.video import decode, probe
from clip_assets.core.video.clips import cut

BT709, BT601 = 1, 6
RED = (200, 40, 30)


def made(path: Path) -> Path:
    """A large plain video, tagged as large videos are."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.codec_context.colorspace = BT709
        picture = av.VideoFrame.from_ndarray(np.full((720, 1280, 3), RED, np.uint8), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path


def first_pixel(path: Path) -> np.ndarray:
    with decode(probe(path), np.array([0])) as frames:
        return next(iter(frames)).rgb[0, 0].astype(int)


def test_a_large_clip_names_the_colours_that_a_player_would_guess_wrong(tmp_path: Path) -> None:
    video = made(tmp_path / "video.mp4")
    cut(video, 0, 100, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as opened:
        told = opened.streams.video[0].codec_context
        assert (told.colorspace, told.color_primaries, told.color_trc, told.color_range) == (BT601, BT709, BT709, 1)
    assert np.abs(first_pixel(tmp_path / "clip.mp4") - RED).max() <= 4
    assert np.abs(first_pixel(video) - RED).max() <= 4
