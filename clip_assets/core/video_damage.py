"""What a container itself shows to be missing, without decoding: cut-off files and holes."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from clip_assets.core.video_demux import Demuxed

# Containers whose header states how long the whole file is.
HEADER_STATES_DURATION = ("matroska,webm", "flv", "asf")

# Packets may end that much before the stated duration: muxers round, and count silence at the end of the sound.
DURATION_TOLERANCE_SECONDS = 0.5

# Plain, with a time stamp (m2ts), with error correction.
TS_PACKET_BYTES = (188, 192, 204)

EBML_HEADER = b"\x1a\x45\xdf\xa3"
MATROSKA_SEGMENT = b"\x18\x53\x80\x67"


def container_damage(
    path: Path, container: InputContainer, stream: VideoStream, seen: Demuxed, frame_count: int
) -> str:
    """What is missing, by the container's own account; empty if nothing is.

    Args:
        path: The file.
        container: The file, read to its end.
        stream: Its video stream.
        seen: What reading it showed.
        frame_count: Number of frames that were found.
    """
    name = container.format.name
    promised, held = _indexed(container, stream)
    if held < promised and name not in HEADER_STATES_DURATION:
        return f"the file ends early: it holds {held} of the {promised} frames that its index promises"
    if name == "avi" and frame_count < max(stream.frames, len(seen.pts)):
        promised = max(stream.frames, len(seen.pts))
        return f"frames are missing: it holds {frame_count} of the {promised} that its header promises"
    stated = (container.duration or 0) / 1_000_000
    end = (
        max(float(tick * (container.streams[index].time_base or 0)) for index, tick in seen.ends.items())
        if seen.ends
        else 0.0
    )
    early = name in HEADER_STATES_DURATION and end < stated - DURATION_TOLERANCE_SECONDS
    if early or (name == "matroska,webm" and _matroska_is_cut(path)):
        return f"the file ends early: it holds {frame_count} frames up to {end:.2f} s of the {stated:.2f} s promised"
    if name == "mpegts" and all(container.size % size for size in TS_PACKET_BYTES):
        return f"the file ends early, inside a packet, after {frame_count} frames"
    if seen.broken:
        whole = len(seen.pts) - seen.broken
        return f"packets are broken: at most {whole} of its {len(seen.pts)} frames can be decoded"
    if seen.error:
        return f"reading breaks off after {frame_count} frames: {seen.error}"
    if seen.corrupt and _has_holes(seen.dts):
        return f"packets are missing: {seen.corrupt} of {len(seen.pts)} are marked as corrupt, and frames are left out"
    return ""


def _indexed(container: InputContainer, stream: VideoStream) -> tuple[int, int]:
    """Frames that the index promises, and how many of them lie inside the file."""
    promised = held = 0
    size = container.size
    for entry in stream.index_entries:
        promised += not entry.is_discard
        held += not entry.is_discard and entry.pos + entry.size <= size
    return promised, held


def _has_holes(dts: array[int]) -> bool:
    steps = np.diff(dts)
    return len(steps) > 0 and bool(np.any(steps >= 2 * np.median(steps)))


def _matroska_is_cut(path: Path) -> bool:
    """Whether the file is shorter than its outermost element says (element sizes: RFC 8794, section 4)."""
    with path.open("rb") as file:
        for marker in (EBML_HEADER, MATROSKA_SEGMENT):
            if file.read(4) != marker:
                return False
            size = _ebml_size(file)
            if size is None:
                return False
            end = file.seek(size, 1)
    return end > path.stat().st_size


def _ebml_size(file: BinaryIO) -> int | None:
    """The variable-length size that comes next; None where it says that it is unknown, as of a live recording."""
    first = file.read(1)
    length = 9 - first[0].bit_length() if first else 9
    if length > 8:
        return None
    mask = (1 << 7 * length) - 1
    size = int.from_bytes(first + file.read(length - 1), "big") & mask
    return None if size == mask else size
