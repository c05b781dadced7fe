"""Decoding with PyAV: frames are told by their times, and what nobody asked for or refers to isn't decoded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from clip_assets.core.errors import VideoDamagedError
from clip_assets.core.video.container import open_video, packets_of
from clip_assets.core.video.rgb import RgbConverter
from clip_assets.core.video.run import PacketReader, Run, RunDecoder, plan_runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from clip_assets.core.records import VideoProbe

# Containers that find a key frame by its time; in others, packets on the way to it are read and dropped.
SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")

# Frames from which on skipping ahead to a key frame is worth it: it empties the decoder, whose threads fill up again.
SKIP_FRAMES = 8

# Frames from which on seeking is faster than reading and dropping packets.
SEEK_FRAMES = 200


class _SkipFailedError(Exception):
    """Where decoding left something out, a frame didn't come out as it should have."""


class PyAVDecoder:
    """The frames asked for, decoded by FFmpeg in this process."""

    def __init__(
        self, probe: VideoProbe, indices: NDArray[np.int64], *, keep: bool, timeout_seconds: float, threads: int
    ) -> None:
        self._probe = probe
        self._wanted: list[int] = indices.tolist()
        self._keep = keep
        self._timeout_seconds = timeout_seconds
        self._threads = threads
        self._by_order = len(probe.keyframes) == 0
        self._delivered = 0
        self._intact_count = 0
        self._first_lost: int | None = None

    @property
    def damage(self) -> str:
        """How many frames didn't decode, of a damaged video that is kept; empty as long as all did."""
        if self._first_lost is None:
            return ""
        decode = f"{self._intact_count} of its first {self._wanted[-1] + 1} frames decode"
        return f"{decode}; the first lost one is {self._name(self._first_lost)}"

    def _name(self, index: int) -> str:
        return f"frame {index} at {float(self._probe.pts[index] * self._probe.time_base):.3f} s"

    def __iter__(self) -> Generator[tuple[int, NDArray[np.uint8]]]:
        if not self._by_order:
            try:
                yield from self._read(plan_runs(self._wanted, self._probe.keyframes, SKIP_FRAMES), sparing=True)
                return
            except _SkipFailedError:
                self._intact_count = 0
        rest = self._wanted[self._delivered :]
        yield from self._read([Run(0, rest)] if rest else [], sparing=False)

    def _read(self, runs: list[Run], *, sparing: bool) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        probe = self._probe
        with open_video(probe.path, self._timeout_seconds, probe.stream_index) as (container, stream):
            # Frame threads are faster, but may swallow an error, after which broken pictures pass for whole ones until
            # a frame turns out to be missing. That is too late only where what decodes is kept.
            stream.thread_type = "SLICE" if self._keep else "AUTO"
            stream.thread_count = self._threads
            to_rgb = RgbConverter(probe.crop)
            packets = PacketReader(packets_of(container, stream))
            at = 0
            for run in runs:
                if run.key - at >= SEEK_FRAMES and probe.container in SEEKABLE:
                    container.seek(int(probe.pts[run.key]) + probe.start_pts, stream=stream)
                    packets = PacketReader(packets_of(container, stream))
                decoder = RunDecoder(probe, stream, packets, run, sparing=sparing)
                for index, frame in decoder:
                    if frame is None:
                        self._lose(index, sparing=sparing)
                    else:
                        self._intact_count += 1
                        if run.wants(index):
                            self._delivered += 1
                            yield index, to_rgb(frame)
                    if index >= run.wanted[-1]:
                        break
                stream.codec_context.flush_buffers()
                packets.put_back(decoder.unread)
                at = run.wanted[-1] + 1

    def _lose(self, index: int, *, sparing: bool) -> None:
        """Frame `index` didn't decode: decode everything anew, fail, or remember it for `damage`."""
        if sparing:
            raise _SkipFailedError
        if self._first_lost is None:
            self._first_lost = index
        if not self._keep:
            raise VideoDamagedError(
                f"{self._probe.path}: {self._intact_count} of its {self._probe.frame_count} frames decoded, then "
                f"{self._name(index)} didn't"
            )
