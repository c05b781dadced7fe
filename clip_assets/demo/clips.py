"""Makes the demo's videos: `python -m clip_assets.demo.clips` rewrites them beside this module.

Each clip shows one coloured shape after another, drifting and tilting. `CLIPS` says what is on screen when.
"""

import argparse
import logging
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, cycle, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.demo import demo_checkpoint
from clip_assets.demo.shapes import RGB, Shape, draw, plain

if TYPE_CHECKING:
    from av import Packet
    from av.container import OutputContainer

_TIME_BASE = Fraction(1, 1000)
_MAX_TILT_DEGREES = 12.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stretch:
    """One shape on screen.

    Attributes:
        colour: The shape's colour.
        kind: The shape's kind.
        background: RGB of all that is around it.
        frame_count: How many frames it stays.
    """

    colour: str
    kind: str
    background: RGB
    frame_count: int


@dataclass(frozen=True)
class Clip:
    """One video.

    Attributes:
        name: The file's name.
        width: Pixels across, as seen on screen.
        height: Pixels down, as seen on screen.
        stretches: What is shown, in order.
        frame_durations_ms: How long frames stay on screen; repeated until all frames have theirs.
        rotation_degrees: Counter-clockwise turn that a player gives the stored frames; a multiple of 90.
    """

    name: str
    width: int
    height: int
    stretches: tuple[Stretch, ...]
    frame_durations_ms: tuple[int, ...]
    rotation_degrees: int = 0

    @property
    def times_ms(self) -> list[int]:
        """The presentation time of each frame, and at last the clip's end."""
        count = sum(stretch.frame_count for stretch in self.stretches)
        return list(accumulate(islice(cycle(self.frame_durations_ms), count), initial=0))


CLIPS = (
    Clip(
        "shapes.mp4",
        width=320,
        height=240,
        stretches=(
            Stretch("red", "circle", (225, 225, 215), 20),
            Stretch("blue", "square", (240, 200, 120), 20),
            Stretch("green", "triangle", (70, 50, 90), 20),
        ),
        frame_durations_ms=(100,),
    ),
    Clip(
        "variable_rate.mp4",
        width=240,
        height=180,
        stretches=(
            Stretch("yellow", "star", (50, 60, 110), 24),
            Stretch("purple", "cross", (190, 225, 190), 24),
        ),
        frame_durations_ms=(40, 40, 33, 120, 67, 40, 250, 80),
    ),
    Clip(
        "rotated.mp4",
        width=180,
        height=240,
        stretches=(
            Stretch("white", "triangle", (60, 100, 60), 20),
            Stretch("black", "star", (150, 190, 225), 20),
        ),
        frame_durations_ms=(80,),
        rotation_degrees=-90,
    ),
)


def frames(clip: Clip) -> list[np.ndarray]:
    """Draw a clip's frames as seen on screen, uint8 (H, W, 3)."""
    return [
        draw(_drifting(stretch, k / (stretch.frame_count - 1)), plain(clip.width, clip.height, stretch.background))
        for stretch in clip.stretches
        for k in range(stretch.frame_count)
    ]


def write(clip: Clip, path: Path) -> None:
    """Encode a clip as H.264 in an MP4 file, each frame at its own time; an existing file is replaced."""
    import av

    durations_ms = {start: stop - start for start, stop in pairwise(clip.times_ms)}
    turns = clip.rotation_degrees // 90
    # One thread: the result would depend on their number. No B-frames: MP4 keeps the exact length only without.
    options = {"crf": "20", "preset": "slow", "bf": "0", "threads": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", options=options)
        stream.width, stream.height = (clip.height, clip.width) if turns % 2 else (clip.width, clip.height)
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TIME_BASE
        if turns:
            stream.set_display_rotation(clip.rotation_degrees)
        for pixels, start_ms in zip(frames(clip), durations_ms, strict=True):
            stored = np.ascontiguousarray(np.rot90(pixels, -turns))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame.pts, frame.time_base = start_ms, _TIME_BASE
            _mux(container, stream.encode(frame), durations_ms)
        _mux(container, stream.encode(None), durations_ms)


def _mux(container: "OutputContainer", packets: "list[Packet]", durations_ms: dict[int, int]) -> None:
    """Write packets with their durations, which the encoder drops: without them the last frame's is lost."""
    for packet in packets:
        if packet.pts is not None:
            packet.duration = durations_ms[packet.pts]
        container.mux(packet)


def _drifting(stretch: Stretch, progress: float) -> Shape:
    """Give the shape at a moment of its stretch; `progress` goes from 0 to 1."""
    return Shape(
        stretch.colour,
        stretch.kind,
        x=0.42 + 0.16 * progress,
        y=0.55 - 0.1 * progress,
        size=0.5 + 0.15 * progress,
        tilt_degrees=_MAX_TILT_DEGREES * (2 * progress - 1),
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=demo_checkpoint().parent, help="folder to write to")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for clip in CLIPS:
        path = arguments.output / clip.name
        write(clip, path)
        _log.info("%s: %d frames, %d bytes", path, len(clip.times_ms) - 1, path.stat().st_size)


if __name__ == "__main__":
    main()
