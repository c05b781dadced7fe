"""The work: videos through the pipeline, each result saved or printed as it comes, failures collected."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.advice import EXTRACT, explain
from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.file_systems import is_url
from clip_assets.core.model.bf16_advice import Bf16Advice
from clip_assets.core.pipeline.decoding import VideoJob
from clip_assets.core.pipeline.features import Extracted, ExtractionFailed, extract_features
from clip_assets.core.sampling import SAMPLING_VERSION, sample
from clip_assets.core.video import probe
from clip_assets.default_texts import default_texts
from clip_assets.extract.files import read_arrays, write_result
from clip_assets.extract.interrupts import interrupts_deferred
from clip_assets.extract.printing import Predictions, array_lines, note, print_lines
from clip_assets.models import load_model
from clip_assets.progress_bar import ProgressBar
from clip_assets.results.parameters import frame_content, frames_sha256

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clip_assets.core.model.clip_model import ClipModel
    from clip_assets.core.records import ClipFeatures, FrameIndices, VideoProbe
    from clip_assets.extract.inputs import Video
    from clip_assets.extract.options import Request
    from clip_assets.extract.plan import Plan

    Arrays = Mapping[str, NDArray[Any]]

SHOWN_BY_DEFAULT = 5
"""Sentences shown of each frame where the user named none."""


class Extraction:
    """A planned extraction.

    Attributes:
        failed: What has failed by now, by its name, and why.
    """

    def __init__(self, request: Request, plan: Plan) -> None:
        self._options = request.options
        self._settings = request.settings
        self._plan = plan
        self.failed = dict(plan.failed)
        self._contents: dict[Video, Mapping[str, Any]] = {}
        self._done = 0

    def run(self) -> None:
        """Extract, save and print, then summarize; a video that fails doesn't stop the others.

        Raises:
            ClipAssetsError: The model can't be loaded, or a sentence can't be encoded; nothing was done.
        """
        for line in self._plan.left_out:
            note(line)
        for video in self._plan.stored:
            note(f"kept: {video.name}: made from the same, says {self._plan.targets[video].files.note}")
        if not self._plan.to_extract and not (self._options.show_pred and self._plan.stored):
            self._summarize()
            return
        models = self._load_models()
        predictions = self._predictions(models[0]) if self._options.show_pred else None
        try:
            self._extract(models, predictions)
        finally:
            self._summarize()

    def _extract(self, models: Sequence[ClipModel], predictions: Predictions | None) -> None:
        options = self._settings.pipeline_options
        advice = Bf16Advice(models[0], note)

        def encoded(frames: int) -> None:
            progress.encoded(frames)
            advice.encoded(frames, progress.total)

        with (
            ProgressBar(len(self._plan.to_extract)) as progress,
            closing(extract_features(self._jobs(), models, options, encoded, progress.looked_at)) as results,
        ):
            print_lines(predictions.begin() if predictions else ())
            try:
                for video, result in self._in_order(results):
                    lines = self._finish(video, result, predictions)
                    with progress.paused():
                        print_lines(lines)
                    if result is not None:
                        progress.video_done(failed=video.name in self.failed)
            finally:
                print_lines(predictions.end() if predictions else ())

    def _summarize(self) -> None:
        """Say how many videos are done, and of each that failed why."""
        kept = f", {len(self._plan.stored)} kept" if self._plan.stored else ""
        note(f"{self._done} of {len(self._plan.videos)} videos extracted{kept}, {len(self.failed)} failed")
        for name, error in self.failed.items():
            if self._options.verbose:
                note("".join(traceback.format_exception(error)).rstrip())
            reason = " ".join(explain(error, EXTRACT).split()) or type(error).__name__
            path = name if is_url(name) else str(Path(name))  # which errors begin with
            note(f"failed: {name}: {reason.removeprefix(f'{path}: ').removeprefix(f'{path} ')}")

    def _load_models(self) -> list[ClipModel]:
        """A replica for each device."""
        with interrupts_deferred():
            import torch  # noqa: F401
        return [
            load_model(
                self._settings.model_name,
                checkpoint=self._settings.custom_checkpoint,
                weights_folder=self._settings.weights,
                device=device,
                precision=self._plan.precision,
            )
            for device in self._plan.devices
        ]

    def _predictions(self, model: ClipModel) -> Predictions:
        texts = self._settings.pred_texts
        best = None if texts else SHOWN_BY_DEFAULT
        return Predictions(model, texts or default_texts(model.name), self._options.pred_format, best)

    def _jobs(self) -> Iterator[VideoJob]:
        following = dict(pairwise(self._plan.to_extract))
        return (
            VideoJob(str(video.number), partial(self._sampled, video), partial(_held, video, following.get(video)))
            for video in self._plan.to_extract
        )

    def _sampled(self, video: Video) -> tuple[VideoProbe, FrameIndices]:
        """The video, and the frames of it that are asked for; called by the pipeline's threads."""
        with video.local() as path:
            source = probe(path, timeout_seconds=self._settings.video_timeout)
        frames = sample(source, self._settings.sampling)
        self._contents[video] = frame_content(frames_sha256(frames), source.treatment)
        return source, frames

    def _in_order(
        self, results: Iterator[Extracted | ExtractionFailed]
    ) -> Iterator[tuple[Video, Extracted | ExtractionFailed | None]]:
        """Each video with its result, None if it is stored already, in the order of the call."""
        stored = deque(self._plan.stored)
        for result in results:
            number = int(result.job.key)
            while stored and stored[0].number < number:
                yield stored.popleft(), None
            yield self._plan.videos[number], result
        yield from ((video, None) for video in stored)

    def _finish(
        self, video: Video, result: Extracted | ExtractionFailed | None, predictions: Predictions | None
    ) -> Sequence[str]:
        """Save a result; what to print of it."""
        if isinstance(result, ExtractionFailed):
            self.failed[video.name] = result.error
            return ()
        try:
            if result is None:
                arrays: Arrays = read_arrays(self._plan.targets[video].files)
            else:
                arrays = self._save(video, result.features)
            lines = list(predictions.of_video(video, arrays)) if predictions else []
        except (ClipAssetsError, OSError) as error:
            self.failed[video.name] = error
            return ()
        self._done += result is not None
        if self._options.on_extraction == "print" and not (predictions and predictions.is_document):
            lines += array_lines(arrays)
        return lines

    def _save(self, video: Video, features: ClipFeatures) -> Arrays:
        """The features as video_features has them, saved if that was asked for."""
        if features.damage:
            note(f"damaged: {video.name}: {features.damage}")
        is_ffmpeg = self._settings.sampling.parameters["frame_selection"] == "ffmpeg"
        arrays = {
            "clip": features.clip.astype(self._options.feature_dtype, copy=False),
            "fps": np.asarray(self._settings.extraction_fps if is_ffmpeg else features.fps, np.float64),
            "timestamps_ms": features.timestamps_ms,
        }
        if target := self._plan.targets.get(video):
            frames, width = features.clip.shape
            summary = {
                "video": video.name,
                "sampling_version": SAMPLING_VERSION,
                "frames": frames,
                "feature_width": width,
                "damage": features.damage,
            }
            with interrupts_deferred():
                write_result(target.files, arrays, {**target.parameters, **self._contents[video]}, summary)
        return arrays


@contextmanager
def _held(video: Video, following: Video | None) -> Iterator[None]:
    """Keep a video where it can be read, while the one that comes next is fetched."""
    with video.local():
        if following is not None:
            following.expect()
        yield
