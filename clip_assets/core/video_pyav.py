"""Decoding with PyAV: frames are told by their times, and stretches that nobody asked for are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import VideoDamagedError
from clip_assets.core.video_container import clockwise_rotation, decoded_frames, open_video

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from clip_assets.core.records import VideoProbe

# Containers that find a key frame by its time.
SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")

# Frames that a seek has to spare at least: it empties the decoder, whose threads then have to fill up again.
SEEK_GAIN_FRAMES = 16


class _SeekFailedError(Exception):
    """After a seek, the decoder didn't deliver what the container's key frames promise."""


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
        self._cursor = 0  # the first of `_wanted` that hasn't been delivered
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

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        if self._probe.container in SEEKABLE:
            try:
                yield from self._read(seeking=True)
                return
            except _SeekFailedError:
                self._intact_count = 0
        yield from self._read(seeking=False)

    def _read(self, *, seeking: bool) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        probe = self._probe
        with open_video(probe.path, self._timeout_seconds) as (container, stream):
            # Frame threads are faster, but may swallow an error, after which broken pictures pass for whole ones until
            # a frame turns out to be missing. That is too late only where what decodes is kept.
            stream.thread_type = "SLICE" if self._keep else "AUTO"
            stream.thread_count = self._threads
            to_rgb = RgbConverter()
            frames = self._intact(decoded_frames(container, stream), 0, seeking=seeking)
            at = 0
            while self._cursor < len(self._wanted):
                wanted = self._wanted[self._cursor]
                key = self._key_before(wanted)
                if seeking and key - at >= SEEK_GAIN_FRAMES:
                    container.seek(int(probe.pts[key]) + probe.start_pts, stream=stream)
                    frames = self._intact(decoded_frames(container, stream), key, seeking=seeking)
                index, frame = next((item for item in frames if item[0] >= wanted), (probe.frame_count, None))
                at = index + 1
                while self._cursor < len(self._wanted) and self._wanted[self._cursor] < index:
                    self._cursor += 1
                if frame is not None and self._cursor < len(self._wanted) and self._wanted[self._cursor] == index:
                    self._cursor += 1
                    yield index, to_rgb(frame)

    def _key_before(self, index: int) -> int:
        keyframes = self._probe.keyframes
        place = int(np.searchsorted(keyframes, index, side="right")) - 1
        return int(keyframes[place]) if place >= 0 else 0

    def _intact(
        self, source: Iterator[VideoFrame | None], first: int, *, seeking: bool
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Frames from `first` on that decoded whole, with their index; after a loss, again from the next key frame."""
        expected, broken = first, False
        for frame in source:
            if frame is None:
                if expected > first:  # before any frame, it may be about one that nobody promised
                    self._lose(expected, seeking=seeking)
                    broken = True
                continue
            index = self._index_of(frame, expected)
            if index is None or index < expected:
                continue  # of pictures that share a time the first counts; those before a seek's aim may be broken
            if index > expected or frame.is_corrupt:
                self._lose(expected, seeking=seeking)
                broken = True
            if seeking and index == first and frame.pict_type != 1:
                raise _SeekFailedError
            if broken and self._by_order:
                return  # from here on nothing tells which frame is which
            expected = index + 1
            broken = broken and (frame.is_corrupt or not frame.key_frame)
            if not broken:
                self._intact_count += 1
                yield index, frame
        if expected < self._probe.frame_count:
            self._lose(expected, seeking=seeking)

    def _index_of(self, frame: VideoFrame, expected: int) -> int | None:
        """The frame's index, by its time where frames have one; None for a time that wasn't promised."""
        if self._by_order:
            return expected
        if frame.pts is None:
            return None
        pts = self._probe.pts
        tick = frame.pts - self._probe.start_pts
        if expected < len(pts) and pts[expected] == tick:
            return expected
        place = int(np.searchsorted(pts, tick))
        return place if place < len(pts) and pts[place] == tick else None

    def _lose(self, index: int, *, seeking: bool) -> None:
        """Frame `index` didn't decode: start again without seeking, fail, or remember it for `damage`."""
        if seeking:
            raise _SeekFailedError
        if self._first_lost is None:
            self._first_lost = min(index, self._probe.frame_count - 1)
        if not self._keep:
            raise VideoDamagedError(
                f"{self._probe.path}: {self._intact_count} of its {self._probe.frame_count} frames decoded, then "
                f'{self._name(self._first_lost)} didn\'t; repair the file, or keep what decodes with on_damage="keep"'
            )


class RgbConverter:
    """Decoded frames to RGB, upright; keeps one scaler, since setting one up costs more than a small picture."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """uint8 (H, W, 3), contiguous."""
        rgb = self._reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
        return np.ascontiguousarray(np.rot90(rgb, -clockwise_rotation(frame) // 90), dtype=np.uint8)
