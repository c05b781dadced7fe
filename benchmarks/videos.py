"""Videos for the benchmarks: a textured scene that pans and cuts, in H.264 with long GOPs and B-frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from clip_assets.core.records import FrameIndices, VideoProbe
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe

SIZES = {"240p": (320, 240), "360p": (480, 360), "480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
RATE = 30
CUT_SECONDS = 5


def video(folder: Path, size: str, seconds: int) -> Path:
    """The path of a video of that size and length; made at the first call."""
    path = folder / f"{size}_{seconds}s.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.mp4")
        write(part, SIZES[size], seconds)
        part.rename(path)
    return path


def planned(path: Path, sampling: Sampling) -> tuple[VideoProbe, FrameIndices]:
    """The plan of a job: the video is probed for each job, as in a library of many."""
    source = probe(path)
    return source, sample(source, sampling)


def write(path: Path, size: tuple[int, int], seconds: int, frames: int | None = None) -> None:
    """Encode ``seconds``, or ``frames``, at 30 frames per second; key frames are 250 frames apart, or at cuts."""
    width, height = size
    width += width % 2
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        for number in range(frames or seconds * RATE):
            if number % (CUT_SECONDS * RATE) == 0:
                scene = _scene(noise, width, height)
            shift = number % (CUT_SECONDS * RATE)
            picture = scene[shift : shift + height, 2 * shift : 2 * shift + width]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _scene(noise: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A picture larger than the frame, to pan over: soft blotches under fine grain."""
    rows, columns = height + CUT_SECONDS * RATE, width + 2 * CUT_SECONDS * RATE
    coarse = noise.integers(0, 256, (rows // 40 + 2, columns // 40 + 2, 3)).repeat(40, 0).repeat(40, 1)
    grain = noise.integers(-12, 13, (rows, columns, 3))
    return np.clip(coarse[:rows, :columns] + grain, 0, 255).astype(np.uint8)
