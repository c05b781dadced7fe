"""decode -> preprocess -> encode, overlapped: threads decode, batches fill across videos, results keep their order.

Decoding threads put what they make into one bounded queue (`decoding`). The caller's thread is the only one that
knows the state of a video: it fills batches from the queue, hands them to the encoding threads, puts the rows
where they belong and yields each video when it and all before it are complete.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.model.devices import default_batch_size
from clip_assets.core.pipeline.allocator import keep_freed_memory
from clip_assets.core.pipeline.decoding import (
    VIDEOS_AHEAD,
    Begun,
    DecodingThreads,
    Ended,
    PipelineOptions,
    Prepared,
    VideoJob,
)
from clip_assets.core.records import ClipFeatures

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from clip_assets.core.model.clip_model import ClipModel
    from clip_assets.core.model.preprocess import Preprocess

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageSeconds:
    """Seconds of one video: on the clock, and in each stage; stages overlap, so these can add up to more."""

    elapsed: float
    decode: float
    preprocess: float
    encode: float


@dataclass(frozen=True, eq=False)
class Extracted:
    """A job that is done: one feature per sampled frame, the time it took, and the pictures that were asked for.

    ``thumbnails`` are uint8 (S, S, 3) by frame index, see `core.pictures.kept.thumbnail`.
    """

    job: VideoJob
    features: ClipFeatures
    seconds: StageSeconds
    thumbnails: Mapping[int, NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class ExtractionFailed:
    """A job for which there are no features, and why."""

    job: VideoJob
    error: Exception


def extract_features(
    jobs: Iterable[VideoJob],
    models: Sequence[ClipModel],
    options: PipelineOptions,
    on_encoded: Callable[[int], None] | None = None,
    on_begun: Callable[[int], None] | None = None,
) -> Generator[Extracted | ExtractionFailed]:
    """Encode the sampled frames of many videos; results come in the order of ``jobs``.

    A video that fails ends alone, with its reason. Memory is bounded by the batches in flight, whatever the number
    and length of the videos. Closing the generator stops the threads and closes the files.

    Args:
        jobs: Drawn from as work proceeds, by one thread at a time while the others wait; may be lazy, not slow.
        models: Replicas of one model, which share the batches.
        options: See `PipelineOptions`.
        on_encoded: Called with the number of frames of each batch that is encoded, for a display of progress.
        on_begun: Called with the number of frames that each video is to have encoded, once that is known: 0 if it
            fails before. Both are called on the caller's thread.
    """
    keep_freed_memory()
    preprocess = models[0].preprocess
    devices = [model.device for model in models]
    batch_size = options.batch_size or default_batch_size(devices, models[0].image_flops)
    with (
        closing(_Encoders(models, preprocess, batch_size)) as encoders,
        closing(DecodingThreads(jobs, preprocess, devices, options, batch_size * encoders.thread_count)) as decoding,
    ):
        yield from _Assembly(models[0], decoding, encoders, batch_size, on_encoded, on_begun).results()


@dataclass(eq=False)
class _Video:
    """A video under way; ``rows`` float32 (distinct frames, D) and ``present`` bool fill as batches come back."""

    begun: Begun
    rows: NDArray[np.float32]
    present: NDArray[np.bool_]
    encoded: int = 0
    encode_seconds: float = 0.0
    ended: Ended | None = None
    error: Exception | None = None

    @property
    def complete(self) -> bool:
        return self.ended is not None and self.encoded == self.ended.sent


@dataclass(eq=False)
class _Batch:
    parts: list[Prepared]
    features: Future[tuple[NDArray[np.float32], float]]


THREADS_PER_REPLICA = 2
"""Encoding threads of each replica of the model: while one waits, for its batch or for Python, the other computes."""


class _Encoders:
    """Threads that each take the next batch when they are free; on CPUs they share the processors out."""

    def __init__(self, models: Sequence[ClipModel], preprocess: Preprocess, batch_size: int) -> None:
        import torch

        self._free = deque(list(models) * THREADS_PER_REPLICA)
        self._preprocess = preprocess
        self._fitting = batch_size
        self._halving = threading.Lock()
        self.thread_count = len(self._free)
        self.capacity = 2 * self.thread_count
        # Said to each thread, for a new thread starts with the number that any other thread set last.
        processors = max(1, torch.get_num_threads() // self.thread_count)
        self._executor = ThreadPoolExecutor(
            self.thread_count, "encode", initializer=torch.set_num_threads, initargs=(processors,)
        )

    def submit(self, parts: list[Prepared]) -> _Batch:
        return _Batch(parts, self._executor.submit(self._encode, [part.pixels for part in parts]))

    def close(self) -> None:
        """Forget the batches that wait, and wait for those under way."""
        self._executor.shutdown(cancel_futures=True)

    def _encode(self, pixels: list[Tensor]) -> tuple[NDArray[np.float32], float]:
        """Features float32 (B, D), and the seconds that they took."""
        import torch

        began = time.perf_counter()
        model = self._free.popleft()
        try:
            batch = torch.cat([part.to(model.device) for part in pixels])
            features: list[NDArray[np.float32]] = []
            encoded = 0
            while encoded < len(batch):
                part = batch[encoded : encoded + self._fitting]
                try:
                    rows = model.encode_images(self._preprocess.normalise(part, model.device))
                    features.append(rows.cpu().numpy())
                    encoded += len(part)
                except torch.OutOfMemoryError:
                    if len(part) == 1:
                        raise
                    self._halve(len(part), model.device)
        finally:
            self._free.append(model)
        return np.concatenate(features), time.perf_counter() - began

    def _halve(self, count: int, device: str) -> None:
        """``count`` frames don't fit into the device's memory: encode at most half of them together from now on."""
        with self._halving:
            if count // 2 < self._fitting:
                self._fitting = count // 2
                logger.warning("%s is out of memory: encoding %d frames together now.", device, self._fitting)


@dataclass(eq=False)
class _Assembly:
    """Owns all state between decoding and results; used by one thread."""

    model: ClipModel
    decoding: DecodingThreads
    encoders: _Encoders
    batch_size: int
    on_encoded: Callable[[int], None] | None
    on_begun: Callable[[int], None] | None
    videos: dict[int, _Video] = field(default_factory=dict)
    filling: list[Prepared] = field(default_factory=list)
    pending: deque[_Batch] = field(default_factory=deque)
    handed_over: int = 0

    def results(self) -> Iterator[Extracted | ExtractionFailed]:
        while (message := self.decoding.queue.get()) is not None:
            match message:
                case Begun() as begun:
                    self._begin(begun)
                case Prepared() as prepared:
                    self._fill(prepared)
                case Ended() as ended:
                    self.videos[ended.number].ended = ended
                case BaseException() as error:
                    raise error
            if self._stalled():
                self._flush()
            yield from self._complete_videos()
        self._flush()
        yield from self._complete_videos()

    def _begin(self, begun: Begun) -> None:
        count = len(begun.distinct)
        rows = np.empty((count, self.model.embed_dim), np.float32)
        self.videos[begun.number] = _Video(begun, rows, np.zeros(count, np.bool_))
        if self.on_begun is not None:
            self.on_begun(count)

    def _stalled(self) -> bool:
        """Whether every decoding thread waits for a video to be handed over, which waits for a batch to fill."""
        return len(self.videos) == VIDEOS_AHEAD and all(video.ended for video in self.videos.values())

    def _fill(self, prepared: Prepared) -> None:
        """Add frames to the batch; one that is full goes to the encoders."""
        room = self.batch_size - sum(len(part) for part in self.filling)
        while len(prepared) >= room:
            now, prepared = prepared.split(room)
            self.filling.append(now)
            self._submit()
            room = self.batch_size
        if len(prepared):
            self.filling.append(prepared)

    def _submit(self) -> None:
        if len(self.pending) == self.encoders.capacity:
            self._collect()
        self.pending.append(self.encoders.submit(self.filling))
        self.filling = []

    def _flush(self) -> None:
        if self.filling:
            self._submit()
        while self.pending:
            self._collect()

    def _collect(self) -> None:
        """Wait for the oldest batch and put its rows where they belong."""
        batch = self.pending.popleft()
        error: Exception | None = None
        count = sum(len(part) for part in batch.parts)
        try:
            features, seconds = batch.features.result()
        except Exception as caught:  # noqa: BLE001 - reported as the failure of the videos whose frames it held
            error = caught
        first = 0
        for part in batch.parts:
            video = self.videos[part.number]
            video.encoded += len(part)
            if error is not None:
                video.error = error
            else:
                video.rows[part.rows] = features[first : first + len(part)]
                video.present[part.rows] = True
                video.encode_seconds += seconds * len(part) / count
            first += len(part)
        if self.on_encoded is not None:
            self.on_encoded(count)

    def _complete_videos(self) -> Iterator[Extracted | ExtractionFailed]:
        while (video := self.videos.get(self.handed_over)) is not None and video.complete:
            del self.videos[self.handed_over]
            self.handed_over += 1
            self.decoding.ahead.release()
            yield self._finish(video)

    def _finish(self, video: _Video) -> Extracted | ExtractionFailed:
        job, frames, ended = video.begun.job, video.begun.frames, video.ended
        assert ended is not None
        error = ended.error or video.error
        if error is not None:
            return ExtractionFailed(job, error)
        assert frames is not None
        row = np.searchsorted(video.begun.distinct, frames.indices)
        kept = video.present[row]
        features = ClipFeatures(
            clip=video.rows[row[kept]],
            timestamps_ms=frames.timestamps_ms[kept],
            source_timestamps_ms=frames.source_timestamps_ms[kept],
            indices=frames.indices[kept],
            fps=frames.fps,
            model_name=self.model.name,
            weights_sha256=self.model.weights_sha256,
            damage=ended.damage,
        )
        elapsed = time.perf_counter() - video.begun.at
        seconds = StageSeconds(elapsed, ended.decode_seconds, ended.preprocess_seconds, video.encode_seconds)
        return Extracted(job, features, seconds, ended.thumbnails)
