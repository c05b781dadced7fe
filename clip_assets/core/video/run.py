"""One run of a video: decoded from a key frame to the last frame asked for, without what can be left out."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from clip_assets.core.video.container import decode_packet
from clip_assets.core.video.nal import NalFormat

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from clip_assets.core.records import VideoProbe

I_PICTURE = 1


@dataclass(frozen=True)
class Run:
    """A stretch of a video that is decoded without a gap.

    Attributes:
        key: Index of the key frame that it starts at; 0 is the start of the file.
        wanted: Ascending indices of the frames asked for in it, at least one.
        following: Index of the key frame that the run after it starts at; None for the last run.
    """

    key: int
    wanted: list[int]
    following: int | None = None

    def wants(self, index: int) -> bool:
        """Whether a frame was asked for."""
        place = bisect_left(self.wanted, index)
        return place < len(self.wanted) and self.wanted[place] == index


def plan_runs(wanted: list[int], keyframes: NDArray[np.int64], skip: int) -> list[Run]:
    """Divide the frames asked for into runs, so that `skip` frames or more are left out before each but the first.

    Args:
        wanted: Ascending frame indices.
        keyframes: int64 (K,), ascending indices of the key frames.
        skip: The least number of frames that is worth leaving out, 1 or more.
    """
    places = np.searchsorted(keyframes, np.array(wanted, dtype=np.int64), side="right") - 1
    keys: list[int] = []
    parts: list[list[int]] = []
    at = 0
    for index, place in zip(wanted, places, strict=True):
        key = int(keyframes[place]) if place >= 0 else 0
        if key - at >= skip or not parts:
            keys.append(key if key - at >= skip else 0)
            parts.append([])
        parts[-1].append(index)
        at = index + 1
    return [Run(*run) for run in zip_longest(keys, parts, keys[1:])]


class PacketReader:
    """Packets in decoding order, some of which may be put back to be read again."""

    def __init__(self, source: Iterator[Packet[Any]]) -> None:
        self._source = source
        self._back: deque[Packet[Any]] = deque()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Packet[Any]:
        return self._back.popleft() if self._back else next(self._source)

    def put_back(self, packets: list[Packet[Any]]) -> None:
        """Have these packets, the last ones read, come next again."""
        self._back.extendleft(reversed(packets))


class RunDecoder:
    """The frames of one run in presentation order, each with its index; None in place of one that is lost.

    Once a frame is lost, those up to the next key frame are lost too: they may refer to it. So are those behind a gap
    that the container shows, and before it the last one, which may lack its end, and as many more as the decoder holds
    back: they may refer to what follows them.

    Args:
        probe: What the container says of the video.
        stream: The stream, its decoder empty.
        packets: The stream's packets, from the run's key frame or earlier on; read as far as the run needs them.
        run: What to decode.
        sparing: Whether to leave out pictures that nobody asked for or refers to.

    Attributes:
        unread: Packets that were read from `packets` and belong to the following run: a key frame is stored before
            the frames that lead up to it.
    """

    def __init__(
        self, probe: VideoProbe, stream: VideoStream, packets: PacketReader, run: Run, *, sparing: bool
    ) -> None:
        self._probe = probe
        self._stream = stream
        self._packets = packets
        self._run = run
        self._nal = NalFormat.of(stream.codec_context)
        self._sparing = sparing
        self._by_order = len(probe.keyframes) == 0
        self._due = list(run.wanted)  # a heap: these, and all others whose packets the decoder is given
        self.unread: list[Packet[Any]] = []
        self._next = run.key
        self._gaps = deque([gap for gap in probe.lost_before.tolist() if gap > run.key])
        self._behind_gap = False
        self._held_back = int(stream.codec_context.has_b_frames)

    def __iter__(self) -> Iterator[tuple[int, VideoFrame | None]]:
        broken = False
        for frame in self._decode():
            if frame is None:
                broken = broken or self._next > self._run.key  # before that, it may be about what nobody promised
                continue
            index = self._next if self._by_order else self._index_of(frame.pts)
            if index is None or index < self._next:
                continue  # a picture that leads the key frame, or one that shares its time with another
            for lost in self._lost_before(index):
                broken = True
                yield lost, None
            at_gap = self._is_at_gap(index, is_key=frame.key_frame)
            self._next = index + 1
            starts_run = index == self._run.key > 0
            whole = not frame.is_corrupt and (frame.pict_type == I_PICTURE or not starts_run)
            resumed = frame.key_frame and not self._by_order
            broken = not whole or (broken and not resumed)
            yield index, None if broken or at_gap else frame
        for lost in self._lost_before(self._run.wanted[-1] + 1):
            yield lost, None

    def _decode(self) -> Iterator[VideoFrame | None]:
        """What comes out of the decoder; None for an error."""
        import av

        run = self._run
        missing = len(run.wanted)
        reached = run.key == 0
        try:
            for packet in self._packets:
                index = None if packet.is_discard else self._index_of(packet.pts)
                if self.unread or index == run.following is not None:
                    self.unread.append(packet)
                reached = reached or (index == run.key and packet.is_keyframe)
                wanted = index is not None and run.wants(index)
                if not reached or (self._sparing and not wanted and self._nal.is_disposable(packet)):
                    continue
                if index is not None and index >= run.key and not wanted:
                    heappush(self._due, index)
                yield from decode_packet(self._stream, packet)
                missing -= wanted
                if missing == 0 and not self._by_order:
                    break
        except av.FFmpegError:
            yield None
        yield from decode_packet(self._stream, None)

    def _is_at_gap(self, index: int, *, is_key: bool) -> bool:
        """Whether a frame may lack its end, or refer to one that is lost."""
        while self._gaps and self._gaps[0] <= index:
            self._gaps.popleft()
            self._behind_gap = True
        self._behind_gap = self._behind_gap and not is_key
        return self._behind_gap or bool(self._gaps and self._gaps[0] <= index + 1 + self._held_back)

    def _index_of(self, pts: int | None) -> int | None:
        """The index of the frame that comes at a time; None if none was promised for it."""
        if pts is None:
            return None
        tick = pts - self._probe.start_pts
        place = int(self._probe.pts.searchsorted(tick))
        return place if place < self._probe.frame_count and self._probe.pts[place] == tick else None

    def _lost_before(self, index: int) -> Iterator[int]:
        """Frames before `index` that should have come out by now; takes `index` off those due."""
        if self._by_order:
            yield from range(self._next, index)
            return
        while self._due and self._due[0] <= index:
            due = heappop(self._due)
            if due != index:
                yield due
