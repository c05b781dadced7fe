"""The pipeline: same features however the work is cut, one video's failure is its own, nothing leaks."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from clip_assets.core.errors import SamplingError, VideoDamagedError, VideoUnreadableError
from clip_assets.core.model.clip_model import ClipModel
from clip_assets.core.model.openai.transform import transform
from clip_assets.core.pipeline import decoding
from clip_assets.core.pipeline import features as pipeline
from clip_assets.core.pipeline.decoding import VIDEOS_AHEAD, DecodingThreads, PipelineOptions, Prepared, VideoJob
from clip_assets.core.pipeline.features import Extracted, ExtractionFailed, extract_features
from clip_assets.core.records import FrameIndices, VideoProbe
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import decode, probe
from clip_assets.models import load_model
from clip_assets_tests.making import corpus, corpus_shown
from clip_assets_tests.making.checkpoints import random_vit


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ClipModel:
    folder = tmp_path_factory.mktemp("model")
    return load_model("custom", checkpoint=random_vit(folder / "vit.pth"), weights_folder=folder)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    corpus.constant_rate(path)
    return path


class CountingModel:
    """The model, and the size of each batch that it was given."""

    def __init__(self, model: ClipModel) -> None:
        self._model = model
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(batch))
        return self._model.encode_images(batch)


def job(path: Path, key: str = "clip", sampling: Sampling | None = None) -> VideoJob:
    video = probe(path)
    frames = sample(video, sampling or Sampling())
    return VideoJob(key, lambda: (video, frames))


def unplannable(key: str) -> VideoJob:
    def plan() -> tuple[VideoProbe, FrameIndices]:
        raise SamplingError(f"no frames of {key}")

    return VideoJob(key, plan)


@pytest.fixture(scope="module")
def feature_of_frame(model: ClipModel, clip: Path) -> np.ndarray:
    """The feature of each frame of the clip, one by one, without the pipeline."""
    preprocess = model.preprocess
    with decode(clip, np.arange(corpus.FRAMES)) as frames:
        pixels = [preprocess.resize_crop(frame.rgb) for frame in frames]
    return np.stack([model.encode_images(preprocess.normalise(picture[None]))[0].numpy() for picture in pixels])


def extract(jobs: list[VideoJob], *models: ClipModel, **options: object) -> list[Extracted | ExtractionFailed]:
    return list(extract_features(jobs, models, PipelineOptions(**options)))


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
@pytest.mark.parametrize("videos_at_once", [1, 3])
def test_each_frame_has_its_own_feature_however_the_work_is_cut(
    model: ClipModel, clip: Path, feature_of_frame: np.ndarray, batch_size: int, videos_at_once: int
) -> None:
    samplings = [Sampling(), Sampling(extraction_fps=5.0), Sampling(extraction_fps=60.0), Sampling(extraction_total=3)]
    jobs = [job(clip, str(number), sampling) for number, sampling in enumerate(samplings)]
    results = extract(jobs, model, batch_size=batch_size, videos_at_once=videos_at_once)
    assert [result.job.key for result in results] == ["0", "1", "2", "3"]
    for result in results:
        assert isinstance(result, Extracted)
        _, frames = result.job.plan()
        np.testing.assert_allclose(result.features.clip, feature_of_frame[frames.indices], atol=1e-5)
        np.testing.assert_array_equal(result.features.indices, frames.indices)
        np.testing.assert_array_equal(result.features.timestamps_ms, frames.timestamps_ms)
        np.testing.assert_array_equal(result.features.source_timestamps_ms, frames.source_timestamps_ms)
        assert result.features.fps == 25.0
        assert (result.features.model_name, result.features.damage) == ("custom", "")


def test_replicas_give_the_same_features_as_one_model(model: ClipModel, clip: Path) -> None:
    jobs = [job(clip, str(number)) for number in range(4)]
    one, two = extract(jobs, model, batch_size=5), extract(jobs, model, model, batch_size=5)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a.features.clip, b.features.clip, atol=1e-6)


def test_batches_are_filled_across_videos(model: ClipModel, clip: Path) -> None:
    counting = CountingModel(model)
    extract([job(clip, str(number), Sampling(extraction_total=10)) for number in range(5)], counting, batch_size=16)
    assert sorted(counting.batches) == [2, 16, 16, 16]


def test_a_frame_that_repeats_is_encoded_once(model: ClipModel, clip: Path) -> None:
    counting = CountingModel(model)
    video = job(clip, sampling=Sampling(extraction_fps=250.0))
    extract([video], counting)
    _, frames = video.plan()
    assert len(frames.indices) == 10 * frames.frame_count
    assert sum(counting.batches) == frames.frame_count


def test_the_frames_to_encode_and_those_encoded_so_far_are_told_on_the_callers_thread(
    model: ClipModel, clip: Path
) -> None:
    told: dict[str, list[int]] = {"encoded": [], "begun": []}
    threads: set[int] = set()

    def note(what: str, count: int) -> None:
        told[what].append(count)
        threads.add(threading.get_ident())

    jobs = [*(job(clip, str(number), Sampling(extraction_total=10)) for number in range(3)), unplannable("3")]
    options = PipelineOptions(batch_size=16)
    list(extract_features(jobs, [model], options, partial(note, "encoded"), partial(note, "begun")))
    assert told["encoded"] == [16, 14]
    assert sorted(told["begun"]) == [0, 10, 10, 10]
    assert threads == {threading.get_ident()}


def test_thumbnails_show_the_frames_that_they_are_named_after(model: ClipModel, tmp_path: Path) -> None:
    def draw_level(number: int, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), 8 * number, np.uint8)

    corpus.write(tmp_path / "levels.mp4", corpus.Recipe(options=corpus.X264, draw=draw_level))
    (result,) = extract([job(tmp_path / "levels.mp4", sampling=Sampling(extraction_fps=50.0))], model, thumbnails=7)
    assert isinstance(result, Extracted)
    assert list(result.thumbnails) == [0, 5, 10, 14, 19, 24, 29]
    for index, picture in result.thumbnails.items():
        assert (picture.dtype, picture.shape) == (np.uint8, (64, 64, 3))
        np.testing.assert_allclose(picture.mean(axis=(0, 1)), 8 * index, atol=3)


def test_the_model_sees_the_proportions_that_a_player_shows(model: ClipModel, tmp_path: Path) -> None:
    squeezed = corpus_shown.anamorphic(tmp_path / "squeezed.mp4", Fraction(5, 3)).path
    square = corpus.write(tmp_path / "square.mp4", corpus.Recipe(options=corpus.X264, size=(160, 64))).path
    results = [extract([job(path)], model, thumbnails=3)[0] for path in (squeezed, square)]
    for one, other in zip(*(result.thumbnails.values() for result in results), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 8


def test_thumbnails_are_made_on_request_alone_and_change_no_feature(model: ClipModel, clip: Path) -> None:
    (without,), (having,) = extract([job(clip)], model), extract([job(clip)], model, thumbnails=1000)
    assert isinstance(without, Extracted)
    assert isinstance(having, Extracted)
    assert (len(without.thumbnails), len(having.thumbnails)) == (0, corpus.FRAMES)
    np.testing.assert_array_equal(having.features.clip, without.features.clip)
    assert PipelineOptions(thumbnails=5).parameters == PipelineOptions().parameters


def test_more_short_videos_than_may_be_ahead_do_not_wait_for_a_full_batch(model: ClipModel, clip: Path) -> None:
    single = job(clip, sampling=Sampling(extraction_total=1))
    results = extract([single] * (2 * VIDEOS_AHEAD + 1), model, batch_size=1000)
    assert len(results) == 2 * VIDEOS_AHEAD + 1
    assert all(isinstance(result, Extracted) for result in results)


def test_a_broken_video_fails_alone(model: ClipModel, clip: Path, tmp_path: Path) -> None:
    good = job(clip)
    video, frames = good.plan()
    missing = VideoJob("missing", lambda: (replace(video, path=tmp_path / "missing.mp4"), frames))
    results = extract([good, missing, good], model)
    assert [type(result) for result in results] == [Extracted, ExtractionFailed, Extracted]
    assert isinstance(results[1].error, VideoUnreadableError)


def test_videos_whose_frames_cannot_be_chosen_fail_in_their_places(model: ClipModel, clip: Path) -> None:
    jobs = [unplannable("0"), job(clip, "1"), unplannable("2"), unplannable("3"), job(clip, "4")]
    results = extract(jobs, model, videos_at_once=3)
    assert [result.job.key for result in results] == ["0", "1", "2", "3", "4"]
    assert [str(result.error) if isinstance(result, ExtractionFailed) else "" for result in results] == [
        *("no frames of 0", "", "no frames of 2", "no frames of 3", ""),
    ]


def test_videos_are_planned_side_by_side(model: ClipModel, clip: Path) -> None:
    meeting = threading.Barrier(3)

    def plan() -> tuple[VideoProbe, FrameIndices]:
        meeting.wait(timeout=30)
        return job(clip).plan()

    results = extract([VideoJob(str(number), plan) for number in range(3)], model, videos_at_once=3)
    assert [type(result) for result in results] == [Extracted] * 3


@pytest.mark.parametrize(("width", "height", "expected"), [(640, 352, 2), (640, 360, 4)])
def test_large_pictures_are_decoded_on_every_core_and_small_ones_on_half_of_them(
    model: ClipModel, clip: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int, expected: int
) -> None:
    meeting = threading.Barrier(expected)
    names: set[str] = set()

    def met(*arguments: object, **options: object) -> object:
        names.add(threading.current_thread().name)
        meeting.wait(timeout=30)
        return decode(*arguments, **options)

    monkeypatch.setattr(decoding, "available_cores", lambda: 4)
    monkeypatch.setattr(decoding, "decode", met)
    video, frames = job(clip, sampling=Sampling(extraction_total=1)).plan()
    video = replace(video, width=width, height=height)
    results = extract([VideoJob(str(number), lambda: (video, frames)) for number in range(8)], model)
    assert [type(result) for result in results] == [Extracted] * 8
    assert names == {f"decode_{number}" for number in range(expected)}


def test_a_damaged_video_fails_or_keeps_what_decodes_on_request(model: ClipModel, tmp_path: Path) -> None:
    path = tmp_path / "corrupt.mp4"
    corpus.corrupt_packet(path)
    video = job(path)
    (failed,) = extract([video], model)
    assert isinstance(failed, ExtractionFailed)
    assert isinstance(failed.error, VideoDamagedError)
    (kept,) = extract([video], model, on_damage="keep")
    assert isinstance(kept, Extracted)
    rows = len(kept.features.clip)
    _, frames = video.plan()
    assert 0 < rows < frames.frame_count
    assert rows == len(kept.features.indices) == len(kept.features.timestamps_ms)
    np.testing.assert_array_equal(
        kept.features.timestamps_ms, frames.timestamps_ms[kept.features.indices], "each row at its own time"
    )
    assert "frame" in kept.features.damage


def test_of_a_damaged_video_the_frames_that_decode_have_thumbnails(model: ClipModel, tmp_path: Path) -> None:
    corpus.corrupt_packet(tmp_path / "corrupt.mp4")
    (kept,) = extract([job(tmp_path / "corrupt.mp4")], model, on_damage="keep", thumbnails=1000)
    assert isinstance(kept, Extracted)
    assert list(kept.thumbnails) == kept.features.indices.tolist()


def test_an_error_in_the_encoder_fails_the_videos_of_that_batch_alone(model: ClipModel, clip: Path) -> None:
    class FailsOnce(CountingModel):
        def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
            if not self.batches:
                self.batches.append(0)
                raise RuntimeError("device lost")
            return super().encode_images(batch)

    video = job(clip, sampling=Sampling(extraction_total=8))
    results = extract([video] * 3, FailsOnce(model), batch_size=8)
    assert [type(result) for result in results] == [ExtractionFailed, Extracted, Extracted]
    assert str(results[0].error) == "device lost"


class Small(CountingModel):
    """A model on a device whose memory holds but a few pictures."""

    def __init__(self, model: ClipModel, capacity: int) -> None:
        super().__init__(model)
        self._capacity = capacity

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > self._capacity:
            raise torch.OutOfMemoryError("out of memory")
        return super().encode_images(batch)


def test_a_batch_that_does_not_fit_into_memory_is_halved_from_then_on(
    model: ClipModel, clip: Path, feature_of_frame: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    small = Small(model, capacity=3)
    for result in extract([job(clip, str(number)) for number in range(4)], small, batch_size=16):
        assert isinstance(result, Extracted), result.error
        np.testing.assert_allclose(result.features.clip, feature_of_frame, atol=1e-5)
    assert set(small.batches) <= {1, 2}
    assert sum(small.batches) == 4 * corpus.FRAMES
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == [
        f"encoding {count} frames together now." for count in (8, 4, 2)
    ]


def test_a_single_frame_that_does_not_fit_into_memory_fails_its_video(model: ClipModel, clip: Path) -> None:
    (failed,) = extract([job(clip, sampling=Sampling(extraction_total=5))], Small(model, capacity=0), batch_size=4)
    assert isinstance(failed, ExtractionFailed)
    assert isinstance(failed.error, torch.OutOfMemoryError)


def test_jobs_that_cannot_be_drawn_end_the_work_with_their_error(model: ClipModel, clip: Path) -> None:
    def jobs() -> Iterator[VideoJob]:
        yield job(clip)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        list(extract_features(jobs(), [model], PipelineOptions()))
    assert_no_threads()


def test_closing_the_results_stops_all_threads_though_videos_are_left(model: ClipModel, clip: Path) -> None:
    left = iter(range(1000))
    single = job(clip)
    results = extract_features((single for _ in left), [model], PipelineOptions(videos_at_once=2))
    next(results)
    results.close()
    assert_no_threads()
    assert next(left) <= VIDEOS_AHEAD + 2


def test_closing_the_results_does_not_encode_the_batches_that_have_not_begun(
    model: ClipModel, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Semaphore(0)
    gate = threading.Event()
    calls = itertools.count()

    class Gated(CountingModel):
        def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
            is_first = next(calls) == 0
            begun.release()
            assert is_first or gate.wait(100)
            return super().encode_images(batch)

    shutdown = ThreadPoolExecutor.shutdown

    def open_the_gate_and_shut_down(pool: ThreadPoolExecutor, **options: bool) -> None:
        shutdown(pool, **{**options, "wait": False})
        gate.set()
        shutdown(pool)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", open_the_gate_and_shut_down)
    monkeypatch.setattr(pipeline, "THREADS_PER_REPLICA", 1)  # so that batches are encoded in order
    single = job(clip, sampling=Sampling(extraction_total=1))
    results = extract_features([single] * 50, [Gated(model)], PipelineOptions(batch_size=1))
    next(results)
    assert begun.acquire(timeout=100)
    assert begun.acquire(timeout=100)
    results.close()
    assert next(calls) == 2, "the first, and the one under way"
    assert_no_threads()


def test_a_video_has_the_cores_that_no_other_needs(
    model: ClipModel, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[tuple[str, int]] = []

    def noted(video: VideoProbe, *arguments: object, **options: object) -> object:
        threads.append((video.path.name, options["threads"]))
        return decode(video, *arguments, **options)

    monkeypatch.setattr(decoding, "available_cores", lambda: 8)
    monkeypatch.setattr(decoding, "decode", noted)
    extract([job(clip)], model)
    assert threads == [("clip.mp4", 8)]
    threads.clear()
    first = shutil.copy(clip, tmp_path / "first.mp4")
    extract([job(first), *(job(clip, str(number)) for number in range(5))], model, videos_at_once=4)
    assert len(threads) == 6
    assert ("first.mp4", 4) in threads, "another video is known to come"
    assert min(count for _, count in threads) >= 2, "four at once"


@pytest.mark.parametrize(("seconds", "expected"), [(60.0, [30]), (0.0, [1] * 30)])
def test_frames_are_sent_together_but_do_not_wait_long_for_each_other(
    clip: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: list[int]
) -> None:
    monkeypatch.setattr(decoding, "SECONDS_PER_MESSAGE", seconds)
    options = PipelineOptions(videos_at_once=1)
    with closing(DecodingThreads([job(clip)], transform(64), ["cpu"], options, 1000)) as threads:
        messages = list(iter(threads.queue.get, None))
    assert [len(message) for message in messages if isinstance(message, Prepared)] == expected


def test_an_abandoned_consumer_error_leaves_no_threads(model: ClipModel, clip: Path) -> None:
    def consume() -> None:
        for _ in extract_features([job(clip)] * 50, [model], PipelineOptions()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert_no_threads()


def assert_no_threads() -> None:
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(("decode", "encode"))] == []
