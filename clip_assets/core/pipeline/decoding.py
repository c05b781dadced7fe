"""Threads that decode and preprocess videos into one bounded queue."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from clip_assets.core.cores import available_cores
from clip_assets.core.errors import VideoDamagedError
from clip_assets.core.pictures.analysis import spread
from clip_assets.core.pictures.kept import thumbnail
from clip_assets.core.pipeline.staging import Staging, make_staging
from clip_assets.core.records import FrameIndices, VideoProbe
from clip_assets.core.video import DecoderName, FrameStream, decode

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from clip_assets.core.model.preprocess import Preprocess

VIDEOS_AHEAD = 64
"""Videos that may be begun before the oldest unfinished one is handed over: bounds what waits for it."""

_VIDEOS_AT_ONCE_MOST = 16
_FEW_PIXELS = 640 * 360

POLL_SECONDS = 0.1
"""How often a waiting thread looks whether it should stop."""


@dataclass(frozen=True, eq=False)
class VideoJob:
    """A video to extract.

    Attributes:
        key: How the caller knows the video.
        plan: What is known of the video, and which frames of it to encode. Called once, on the thread that decodes it,
            where it may take its time; what it raises is the reason why this video fails.
        held: What is entered just before, on the same thread, and left when the video is decoded: keeps its file where
            it is. What it raises counts the same.
    """

    key: str
    plan: Callable[[], tuple[VideoProbe, FrameIndices]]
    held: Callable[[], AbstractContextManager[object]] = nullcontext


@dataclass(frozen=True)
class PipelineOptions:
    """How videos are extracted.

    Attributes:
        batch_size: Frames encoded together; None: by the device. Fewer once they don't fit into its memory.
        decoder: Video decoder.
        on_damage: Whether a video that ends early fails, or keeps the frames that decode.
        video_timeout: Seconds without a frame after which a decoder is stopped.
        videos_at_once: Videos decoded at the same time; None: chosen from the processors available.
        thumbnails: The most frames of a video, evenly spread, of which a small picture is made: 27 kB of memory each
            until the video is handed over.
    """

    batch_size: int | None = None
    decoder: DecoderName = "pyav"
    on_damage: Literal["fail", "keep"] = "fail"
    video_timeout: float = 60.0
    videos_at_once: int | None = None
    thumbnails: int = 0

    @property
    def parameters(self) -> dict[str, str]:
        """What features depend on here, as plain JSON values; batch size changes them by rounding alone."""
        return {"decoder": self.decoder, "on_damage": self.on_damage}


@dataclass(frozen=True, eq=False)
class Begun:
    """A video's first message.

    Attributes:
        number: The video's place among the jobs.
        job: Which it is.
        at: When it was begun, in seconds of `time.perf_counter`.
        frames: The frames to encode; None where it failed before they were known.
        distinct: int64 (U,), each of them once, ascending.
    """

    number: int
    job: VideoJob
    at: float
    frames: FrameIndices | None
    distinct: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Some of a video's distinct frames, resized and cropped, in order; frames that don't decode are left out.

    Attributes:
        number: The video's place among the jobs.
        rows: int64 (N,), which of the distinct frames.
        pixels: uint8 (N, 3, R, R), on the device that resized them.
    """

    number: int
    rows: NDArray[np.int64]
    pixels: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, count: int) -> tuple[Prepared, Prepared]:
        """The first ``count`` frames, and the others."""
        return (
            Prepared(self.number, self.rows[:count], self.pixels[:count]),
            Prepared(self.number, self.rows[count:], self.pixels[count:]),
        )


@dataclass(eq=False)
class Ended:
    """A video's last message, filled while it is decoded.

    Attributes:
        number: The video's place among the jobs.
        sent: Frames that were sent.
        damage: What is missing of a damaged video that is kept.
        error: Why the video failed.
        decode_seconds: Time spent on decoding.
        preprocess_seconds: Time spent on preprocessing.
        thumbnails: uint8 (S, S, 3) by frame index, see `core.pictures.kept.thumbnail`.
    """

    number: int
    sent: int = 0
    damage: str = ""
    error: Exception | None = None
    decode_seconds: float = 0.0
    preprocess_seconds: float = 0.0
    thumbnails: dict[int, NDArray[np.uint8]] = field(default_factory=dict)


Message = Begun | Prepared | Ended | BaseException | None

FRAMES_PER_MESSAGE = 32
"""The most frames sent together: each message costs a switch between threads."""

SECONDS_PER_MESSAGE = 0.05
"""Time after which a message is sent though it could hold more, for the encoders wait for it."""


class DecodingThreads:
    """Each thread takes the next job and sends `Begun`, its frames in order, a few in a message, and `Ended`.

    The last thread that finds no more jobs sends None, one that can't go on sends the exception. Whoever receives
    releases ``ahead`` once for every video that it is done with.

    How many videos are decoded at once is for the first one of large pictures to say, whose size is known when it is
    begun: until then there are as many threads as small pictures are worth.
    """

    def __init__(
        self,
        jobs: Iterable[VideoJob],
        preprocess: Preprocess,
        devices: Sequence[str],
        options: PipelineOptions,
        frames_ahead: int,
    ) -> None:
        self.queue: queue.Queue[Message] = queue.Queue(maxsize=max(8, frames_ahead // FRAMES_PER_MESSAGE))
        self.ahead = threading.Semaphore(VIDEOS_AHEAD)
        self._jobs = enumerate(jobs)
        self._upcoming = next(self._jobs, None)
        self._active = 0
        self._preprocess = preprocess
        self._options = options
        self._lock = threading.Lock()  # held for moments: over the jobs, the threads and the counts of both
        self._stopping = threading.Event()
        self._devices = itertools.cycle(devices)
        self._threads: list[threading.Thread] = []
        self._at_work = 0
        self._most = options.videos_at_once or default_videos_at_once(_FEW_PIXELS)
        self._start_threads(options.videos_at_once or default_videos_at_once(0))

    def close(self) -> None:
        """Stop the threads, which close their files, and wait for them."""
        with self._lock:
            self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _start_threads(self, count: int) -> None:
        """See to it that there are at least so many, unless they are to stop."""
        with self._lock:
            while len(self._threads) < count and not self._stopping.is_set():
                name = f"decode_{len(self._threads)}"
                thread = threading.Thread(target=self._work, args=(next(self._devices),), name=name)
                self._threads.append(thread)
                self._at_work += 1
                thread.start()

    def _work(self, device: str) -> None:
        """Decode videos, their frames resized on ``device``."""
        import torch

        torch.set_num_threads(1)  # of this thread: the encoder uses the others
        try:
            while (drawn := self._next_job()) is not None:
                number, job, threads = drawn
                ended = Ended(number)
                self._extract(job, threads, device, ended)
                self._send(ended)
                with self._lock:
                    self._active -= 1
            with self._lock:
                self._at_work -= 1
                is_last = not self._at_work
            if is_last:
                self._send(None)
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - as when the jobs can't be drawn; the receiver raises it
            self._send(error)

    def _next_job(self) -> tuple[int, VideoJob, int] | None:
        """A job's number, the job, and how many threads are to decode it: the cores that no other video needs."""
        while not self.ahead.acquire(timeout=POLL_SECONDS):
            self._check_stopping()
        with self._lock:
            numbered = self._upcoming or next(self._jobs, None)
            if numbered is None:
                return None
            self._upcoming = next(self._jobs, None)
            self._active += 1
            at_once = min(self._active + (self._upcoming is not None), self._most)
        return *numbered, max(1, available_cores() // at_once)

    def _extract(self, job: VideoJob, threads: int, device: str, ended: Ended) -> None:
        """Send all of a video but its end, which is filled; whatever breaks one video is that video's failure."""
        at = time.perf_counter()
        begun: Begun | None = None
        try:
            with job.held():
                video, sampled = job.plan()
                if video.width * video.height >= _FEW_PIXELS:
                    self._start_threads(self._most)
                begun = Begun(ended.number, job, at, sampled, np.unique(sampled.indices))
                self._send(begun)
                self._decode(video, begun.distinct, threads, device, ended)
        except Exception as error:  # noqa: BLE001 - see above
            if begun is None:
                self._send(Begun(ended.number, job, at, None, np.zeros(0, np.int64)))
            ended.error = error

    def _decode(self, video: VideoProbe, distinct: NDArray[np.int64], threads: int, device: str, ended: Ended) -> None:
        began = time.perf_counter()
        with decode(
            video,
            distinct,
            decoder=self._options.decoder,
            on_damage=self._options.on_damage,
            timeout_seconds=self._options.video_timeout,
            threads=threads,
        ) as frames:
            ended.decode_seconds = time.perf_counter() - began
            for prepared in self._prepare(frames, distinct, device, ended):
                self._send(prepared)
                ended.sent += len(prepared)
            ended.damage = frames.damage
        if not ended.sent:
            raise VideoDamagedError(f"{video.path}: none of the frames asked for decodes")

    def _prepare(
        self, frames: FrameStream, distinct: NDArray[np.int64], device: str, ended: Ended
    ) -> Iterator[Prepared]:
        """The frames resized and cropped, a few at a time; notes times and thumbnails in ``ended``."""
        staging = make_staging(self._preprocess, device, frames.probe.sample_aspect_ratio)
        pictured = distinct[spread(len(distinct), self._options.thumbnails)]
        staged: list[int] = []
        began = sent = time.perf_counter()
        for frame in frames:
            decoded = time.perf_counter()
            ended.decode_seconds += decoded - began
            staging.add(frame.rgb)
            staged.append(frame.index)
            ended.preprocess_seconds += time.perf_counter() - decoded
            if len(staged) == FRAMES_PER_MESSAGE or time.perf_counter() - sent > SECONDS_PER_MESSAGE:
                yield _take(staging, staged, distinct, pictured, ended)
                staged = []
                sent = time.perf_counter()
            began = time.perf_counter()
        if staged:
            yield _take(staging, staged, distinct, pictured, ended)

    def _send(self, message: Message) -> None:
        while True:
            self._check_stopping()
            try:
                return self.queue.put(message, timeout=POLL_SECONDS)
            except queue.Full:
                continue

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


class _Stopped(BaseException):
    """Unwinds a thread when decoding is closed; no Exception, so that no video is said to have failed."""


def _take(
    staging: Staging,
    indices: list[int],
    distinct: NDArray[np.int64],
    pictured: NDArray[np.int64],
    ended: Ended,
) -> Prepared:
    """The frames in ``staging``, whose indices these are; notes time and the thumbnails of those ``pictured``."""
    began = time.perf_counter()
    pixels = staging.take()
    if positions := np.flatnonzero(np.isin(indices, pictured)).tolist():
        shown = zip(positions, pixels[positions].cpu(), strict=True)
        ended.thumbnails.update((indices[position], thumbnail(picture)) for position, picture in shown)
    ended.preprocess_seconds += time.perf_counter() - began
    return Prepared(ended.number, np.searchsorted(distinct, indices), pixels)


def default_videos_at_once(pixels: int) -> int:
    """A video for each core, for many with a thread each are decoded faster than fewer with several.

    Half as many if a frame has few pixels: then Python's part of the work is large, and threads wait for each other.
    """
    share = 1 if pixels >= _FEW_PIXELS else 2
    return max(1, min(available_cores() // share, _VIDEOS_AT_ONCE_MOST))
