"""Small videos whose containers tell times oddly: clocks that jump, and ticks that several frames share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from clip_assets_tests.making.corpus import RATE, X264, Clip, Recipe, write

TS_PACKET = 188
MPEG2 = Recipe(codec="mpeg2video", options={"bf": "2", "g": "8", "q": "3", "flags": "+qscale"})
WRAP_SECONDS = Fraction(2**33, 90_000)
"""After this long the time stamps of transport and program streams, of 33 bits, begin anew."""

Join = Callable[[list[bytes]], bytes]


def joined(
    path: Path, starts: list[int], recipe: Recipe | None = None, join: Join = b"".join, part_frames: int = 15
) -> Clip:
    """Parts of a video, one after the other in one file, each with a clock that starts at so many seconds."""
    recipe = recipe or Recipe(options=X264)
    parts: list[bytes] = []
    for part, start in enumerate(starts):
        ticks = [int(start * RATE) + number for number in range(part_frames)]
        write(path, replace(recipe, ticks=ticks, first_number=part * part_frames))
        parts.append(path.read_bytes())
    path.write_bytes(join(parts))
    frames = part_frames * len(starts)
    times = [number / RATE for number in range(frames)]
    return Clip(path, list(range(frames)), times, frames / RATE, RATE, *recipe.size)


def counted_through(parts: list[bytes]) -> bytes:
    """Parts of a transport stream whose continuity counters run through, as a packager writes them."""
    data = bytearray(b"".join(parts))
    last: dict[int, int] = {}
    for start in range(0, len(data), TS_PACKET):
        pid = (data[start + 1] & 31) << 8 | data[start + 2]
        if data[start + 3] & 16:
            last[pid] = (last.get(pid, -1) + 1) & 15
        data[start + 3] = data[start + 3] & 0xF0 | last.get(pid, 0)
    return bytes(data)


def flagged(parts: list[bytes]) -> bytes:
    """Parts of a transport stream, the first packet of each but the first marked as discontinuous."""
    made = [bytearray(part) for part in parts]
    for part in made[1:]:
        marked = next(start for start in range(0, len(part), TS_PACKET) if part[start + 3] & 0x20 and part[start + 4])
        part[marked + 5] |= 0x80
    return b"".join(made)


def wrapping(path: Path) -> Clip:
    """A transport stream whose 33 bits of time stamps run out in the middle."""
    return joined(path, [int(WRAP_SECONDS)], part_frames=30)


def fast(path: Path) -> Clip:
    """2000 frames a second, in a container that counts milliseconds."""
    return write(path, Recipe(options=X264, rate=Fraction(2000), frames=60))
