"""What is to be done, settled before any work: which videos, where to, what is there already, and on which devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.errors import ClipAssetsError, LibraryError, SettingsError, VideoUnreadableError
from clip_assets.core.library.regular_files import check_is_file
from clip_assets.core.model.devices import resolve_devices, resolve_precision
from clip_assets.core.sampling import SAMPLING_VERSION, sample
from clip_assets.core.video import probe
from clip_assets.extract.files import ResultFiles, Standing, check_names, read_arrays, result_files, standing
from clip_assets.extract.inputs import Video, collect_inputs
from clip_assets.extract.interrupts import interrupts_deferred
from clip_assets.extract.options import Request
from clip_assets.models import family_of, fetch_model
from clip_assets.results.parameters import encoding_parameters, feature_parameters, frame_parameters, model_parameters

if TYPE_CHECKING:
    from clip_assets.core.model.clip_model import Precision
    from clip_assets.settings import Settings


@dataclass(frozen=True)
class Target:
    """Where a video's results go.

    Attributes:
        files: The files.
        parameters: What they depend on, as plain JSON values: the parameters of the asset `clip_features` as far as
            they are known without the frames, and the number format that is saved.
        is_stored: Whether they are there already, made from the same.
    """

    files: ResultFiles
    parameters: Mapping[str, Any]
    is_stored: bool


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        videos: All that were named, in order.
        left_out: Lines on the files of folders that were left out for their ending.
        failed: What can't be done, by its name, and why.
        targets: Of the videos to be saved, those that failed aside.
        devices: For each replica of the model its device, as torch names it.
        precision: Of weights and arithmetic.
    """

    videos: tuple[Video, ...]
    left_out: tuple[str, ...]
    failed: Mapping[str, Exception]
    targets: Mapping[Video, Target]
    devices: tuple[str, ...]
    precision: Precision

    @property
    def to_extract(self) -> list[Video]:
        """The videos that are neither stored nor known to fail."""
        done = {*self.failed, *(video.name for video in self.stored)}
        return [video for video in self.videos if video.name not in done]

    @property
    def stored(self) -> list[Video]:
        """The videos whose results are there already."""
        return [video for video, target in self.targets.items() if target.is_stored]


def _check_folder(folder: Path) -> None:
    """Refuse an output path that can't be a folder, without making it."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise SettingsError(f"output_path={folder} can't be a folder: {there} is a file. Choose another.")
    if not os.access(there, os.W_OK):
        raise SettingsError(f"output_path={folder} can't be written: {there} isn't writeable. Choose another.")


def _is_current(found: Standing, files: ResultFiles, video: Video, settings: Settings) -> bool:
    """Whether files that are made from the same have the frames that today's version chooses.

    Where an older version chose them, the video is probed: they have if their times and rate come out the same, of a
    whole video and of its pictures as they are. Files of ffmpeg's selection don't tell the video's rate.
    """
    if found.sampling_version == SAMPLING_VERSION:
        return True
    with video.local() as path:
        source = probe(path, timeout_seconds=settings.video_timeout)
    if source.treatment or found.damage:
        return False
    frames, arrays = sample(source, settings.sampling), read_arrays(files)
    return np.array_equal(frames.timestamps_ms, arrays["timestamps_ms"]) and frames.fps == arrays["fps"]


def make_plan(request: Request) -> Plan:
    """Settle what is to be done.

    Raises:
        SettingsError: Two videos have the same files, files are in the way that were made from something else, or the
            folder for them can't be written.
        DeviceError: A device isn't there.
        ModelError: There is no such model.
    """
    options, settings = request.options, request.settings
    inputs = collect_inputs(request.paths, options.file_with_video_paths, settings.video_cache)
    failed: dict[str, Exception] = {name: LibraryError(reason) for name, reason in inputs.unlisted}
    for video in inputs.videos:
        try:
            if video.source is None:
                check_is_file(video.path)
        except VideoUnreadableError as error:
            failed[video.name] = error
    is_saved = options.on_extraction != "print"
    files = result_files(options, settings.model_name, inputs.videos) if is_saved else {}
    with interrupts_deferred():  # imports torch
        devices = resolve_devices(settings.device_ids)
    precision = resolve_precision(settings.precision, devices, family_of(settings.model_name).gpu_precision)
    fetch_model(settings.model_name, settings.custom_checkpoint)  # raises if there is no such model
    encoding = encoding_parameters(model_parameters(settings, precision), settings.pipeline_options)
    encoding["feature_dtype"] = options.feature_dtype
    targets: dict[Video, Target] = {}
    in_the_way = []
    for video, place in files.items():
        if video.name in failed:
            continue
        try:
            check_names(place)
            parameters = feature_parameters(frame_parameters(video.fingerprint(), settings.sampling), encoding)
            found = None if options.force else standing(place, parameters)
            is_stored = found is not None and found.state == "equal" and _is_current(found, place, video, settings)
        except (ClipAssetsError, OSError) as error:
            failed[video.name] = error
        else:
            targets[video] = Target(place, parameters, is_stored)
            if found is not None and found.state == "other":
                in_the_way.append(f"{place.folder / place.names['clip']} and the files beside it: {found.reason}")
    if in_the_way:
        raise SettingsError(
            "Files are in the way that were made from something else. Overwrite them with --force, or choose another "
            "folder (output_path).\n" + "\n".join(in_the_way)
        )
    if is_saved:
        _check_folder(options.output_path)
    return Plan(inputs.videos, inputs.left_out, failed, targets, devices, precision)
