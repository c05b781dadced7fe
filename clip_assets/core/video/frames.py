"""Probe a video and stream its frames: the one door to the decoders."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from clip_assets.core.cores import available_cores
from clip_assets.core.errors import SettingsError, VideoDamagedError
from clip_assets.core.records import VideoProbe

DecoderName = Literal["pyav", "decord"]
OnDamage = Literal["fail", "keep"]
DEFAULT_TIMEOUT_SECONDS = 60.0

# Pictures of which a thread more is worth its cost: one thread up to 480x360, two from 640x480 on, eight for 1080p.
_PIXELS_PER_THREAD = 2**18


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """One frame.

    Attributes:
        index: 0-based, in presentation order of the source.
        rgb: uint8 (H, W, 3), upright, contiguous; the pixels as stored, which aren't square in some videos
            (``VideoProbe.sample_aspect_ratio``).
    """

    index: int
    rgb: NDArray[np.uint8]


class VideoDecoder(Protocol):
    """What a decoder is: an iterator over the frames asked for, which knows what it couldn't decode.

    Pictures are those of the stream ``VideoProbe.stream_index``, uint8 (H, W, 3), cropped as ``VideoProbe.crop`` says,
    upright, and where they are HDR mapped to SDR (`core.video.tone`). Frames come in the order that was asked for.
    """

    @property
    def damage(self) -> str:
        """What is missing, of a damaged video that is kept; empty as long as nothing is."""

    def __iter__(self) -> Generator[tuple[int, NDArray[np.uint8]]]:
        """Index and picture of each frame; closing the generator lets go of files and processes.

        Raises:
            VideoDamagedError: A frame up to the last one asked for doesn't decode, unless what does is kept.
            DecoderFailedError: The same of a decoder other than PyAV; also where it broke down, kept or not.
            VideoTimeoutError: Nothing came in time.
            DecoderRefusedError: The decoder would get this video wrong.
        """


class MakesDecoder(Protocol):
    """A decoder's class, as `decode` calls it."""

    def __call__(
        self, probe: VideoProbe, indices: NDArray[np.int64], *, keep: bool, timeout_seconds: float, threads: int
    ) -> VideoDecoder:
        """The decoder of a video.

        Args:
            probe: The video.
            indices: int64 (T,), the frames asked for, ascending without repeats; may be none.
            keep: Whether what decodes of a damaged video is given, and `damage` then says what is missing.
            timeout_seconds: The longest to wait for what comes next.
            threads: The most decoding threads.

        Raises:
            DecoderRefusedError: Its library isn't there, or it would get this video wrong.
        """


class FrameStream:
    """The frames asked for, in order, one at a time; a context manager that lets go of files and child processes.

    Attributes:
        probe: What the container says of the video.
        decoder: The decoder's name.
    """

    def __init__(self, probe: VideoProbe, decoder: DecoderName, source: VideoDecoder) -> None:
        self.probe = probe
        self.decoder = decoder
        self._source = source
        self._frames = iter(source)

    @property
    def damage(self) -> str:
        """What is missing from a damaged video that is kept, known once the frames are read; empty for a whole one."""
        return "; ".join(part for part in (self.probe.damage, self._source.damage) if part)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DecodedFrame:
        return DecodedFrame(*next(self._frames))

    def close(self) -> None:
        """Close the file and end any child process; harmless when called twice."""
        self._frames.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def probe(path: Path, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> VideoProbe:
    """Read what a video's container says of the video stream that a player shows, with exact times.

    Args:
        path: The file.
        timeout_seconds: The longest that opening, or one read, may take.

    Raises:
        VideoUnreadableError: The file is no video, has no video stream, or no frame that can be decoded.
        VideoTimeoutError: Reading took longer than `timeout_seconds`.
    """
    from clip_assets.core.video.probing import probe_video

    return probe_video(Path(path), timeout_seconds)


def decode(
    source: VideoProbe | Path,
    indices: NDArray[np.int64],
    *,
    decoder: DecoderName = "pyav",
    on_damage: OnDamage = "fail",
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    threads: int = 0,
) -> FrameStream:
    """Stream the frames asked for; memory doesn't grow with the video's length.

    Args:
        source: The video, probed or not.
        indices: int64 (T,), 0-based in presentation order, ascending without repeats.
        decoder: Which decoder.
        on_damage: What to do about a damaged video: "fail", or "keep" what decodes and say in `damage` what doesn't.
        timeout_seconds: The longest that one read (PyAV) or one frame (decord) may take.
        threads: The most decoding threads; 0 means as many as there are cores. Small pictures are decoded with fewer.

    Raises:
        VideoDamagedError: The container itself shows the file to be cut off; or, while the frames are read, one up to
            the last one asked for doesn't decode.
        VideoUnreadableError: The file is no video.
        VideoTimeoutError: While the frames are read: it took longer than `timeout_seconds`.
        DecoderRefusedError: The decoder would get this video wrong.
        SettingsError: Indices don't ascend, or aren't frames of the video; `decoder` or `on_damage` isn't allowed.
    """
    video = source if isinstance(source, VideoProbe) else probe(source, timeout_seconds=timeout_seconds)
    indices = np.asarray(indices, dtype=np.int64)
    _check_indices(video, indices)
    if on_damage == "fail":
        check_whole(video)
    if on_damage not in get_args(OnDamage):
        raise SettingsError(f'on_damage is "{on_damage}"; allowed are {_quoted(OnDamage)}')
    threads = min(threads or available_cores(), 1 + video.width * video.height // _PIXELS_PER_THREAD)
    make = _decoder(decoder)
    frames = make(video, indices, keep=on_damage == "keep", timeout_seconds=timeout_seconds, threads=threads)
    return FrameStream(video, decoder, frames)


def check_is_video(path: Path, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
    """Refuse a file whose content is no video, whatever its name; only its beginning is read.

    Raises:
        VideoUnreadableError: It isn't, or has no video stream.
        VideoTimeoutError: Opening it took longer than `timeout_seconds`.
    """
    from clip_assets.core.video.container import open_video

    with open_video(Path(path), timeout_seconds):
        pass


def check_whole(video: VideoProbe) -> None:
    """Refuse a video that its container shows to be damaged, before anything is decoded.

    Raises:
        VideoDamagedError: It is cut off, or packets of it are broken or lost.
    """
    if video.damage:
        raise VideoDamagedError(f"{video.path}: {video.damage}")


def _decoder(name: str) -> MakesDecoder:
    if name == "pyav":
        from clip_assets.core.video.pyav_decoder import PyAVDecoder

        return PyAVDecoder
    if name == "decord":
        from clip_assets.core.video.decord_decoder import DecordDecoder

        return DecordDecoder
    raise SettingsError(f'decoder is "{name}"; allowed are {_quoted(DecoderName)}')


def _quoted(choices: Any) -> str:
    """The values of a `Literal`, as an error lists them."""
    return " and ".join(f'"{choice}"' for choice in get_args(choices))


def _check_indices(video: VideoProbe, indices: NDArray[np.int64]) -> None:
    if len(indices) == 0:
        return
    if indices.ndim != 1 or np.any(np.diff(indices) <= 0):
        raise SettingsError(f"{video.path}: frame indices have to ascend without repeats")
    if indices[0] < 0 or indices[-1] >= video.frame_count:
        raise SettingsError(
            f"{video.path}: frame indices {indices[0]} to {indices[-1]} were asked for; "
            f"the video has frames 0 to {video.frame_count - 1}"
        )
