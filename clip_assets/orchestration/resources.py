"""What the assets work with: where to compute, which CLIP, and the library of videos."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Annotated, Any, Literal

import dagster as dg
import yaml
from pydantic import BeforeValidator, Field, PrivateAttr

from clip_assets.core.library.signatures import Signature
from clip_assets.core.library.source import VideoSource, source_at
from clip_assets.core.library.video_cache import DEFAULT_LIMIT, VideoCache
from clip_assets.core.model.clip_model import ClipModel, Precision
from clip_assets.core.model.device_locks import held_alone
from clip_assets.core.model.devices import resolve_devices, resolve_precision
from clip_assets.core.records import SourceStat, VideoProbe
from clip_assets.core.video import DEFAULT_TIMEOUT_SECONDS
from clip_assets.core.video.readings import Readings
from clip_assets.models import family_of, fetch_model, load_model
from clip_assets.orchestration.library_names import LibraryNames

Context = dg.AssetExecutionContext | dg.OpExecutionContext | dg.AssetCheckExecutionContext


class GPUResource(dg.ConfigurableResource):
    """Where to compute, how precisely, and how many frames together."""

    # A string, for Dagster's config has no type for all three; a list becomes its own notation.
    device_ids: Annotated[str, BeforeValidator(str)] = Field(
        default="auto", description="auto (a GPU if there is one, else the CPU), cpu, or CUDA ids such as [0, 2]."
    )
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        default="auto", description="auto (fp16 on CUDA, fp32 on the CPU), fp32, fp16 or bf16."
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Frames that are encoded together; unset: by device and model."
    )

    def devices(self) -> tuple[str, ...]:
        """The devices, as torch names them, at least one.

        Raises:
            DeviceError: A CUDA device was asked for that isn't there; the message lists those that are.
        """
        return resolve_devices(yaml.safe_load(self.device_ids))

    def resolved_precision(self, on_gpus: Precision) -> Precision:
        """The number format to compute in; the devices are asked only where they decide.

        Args:
            on_gpus: That of the model's family, where precision is auto and all devices are GPUs.

        Raises:
            DeviceError: As in `devices`, where precision is auto.
        """
        return self.precision if self.precision != "auto" else resolve_precision("auto", self.devices(), on_gpus)


class ClipModelResource(dg.ConfigurableResource):
    """A CLIP model, loaded when it is first used and once per process."""

    gpu: GPUResource
    model_name: str = Field(
        default="ViT-B/32", description="Such as ViT-B/32; demo is the bundled one, custom the checkpoint's."
    )
    checkpoint: str | None = Field(default=None, description="Weights of the model named custom.")
    weights: str = Field(description="Folder that published weights are downloaded to, once; or the URL of one.")

    def sha256(self) -> str:
        """The model's identity; known without loading the model, once its files are here: they are downloaded.

        Raises:
            ModelError: Unknown name, a checkpoint that isn't there, or files that can't be downloaded.
        """
        return fetch_model(self.model_name, self.checkpoint)

    def models(self) -> tuple[ClipModel, ...]:
        """One replica for each device.

        Raises:
            ModelError: The weights can't be had, or aren't CLIP's.
            DeviceError: A device isn't there.
        """
        which = (self.model_name, self.checkpoint, self.weights, self.gpu.devices(), self._precision())
        return _load_once(which, self.sha256())

    def parameters(self) -> dict[str, str]:
        """What features depend on in this model, as plain JSON values.

        Raises:
            ModelError: As in `sha256`.
        """
        return {
            "model_name": self.model_name,
            "weights_sha256": self.sha256(),
            "precision": self._precision(),
        }

    def exclusively(self, write: Callable[[str], object]) -> AbstractContextManager[bool]:
        """Hold the devices for this process alone, see `core.model.device_locks.held_alone`.

        Raises:
            DeviceError: A device isn't there.
        """
        return held_alone(self.gpu.devices(), write)

    def _precision(self) -> Precision:
        return self.gpu.resolved_precision(family_of(self.model_name).gpu_precision)


class VideoLibrary(dg.ConfigurableResource):
    """The videos, as a run reads them."""

    root: str = Field(description="The folder, or a URL.")
    cache: str | None = Field(default=None, description="Folder for copies of videos that lie elsewhere.")
    cache_bytes: int = Field(default=DEFAULT_LIMIT, description="Bytes of copies that are kept at most.")
    video_timeout: float = Field(
        default=DEFAULT_TIMEOUT_SECONDS, gt=0, description="Seconds without a frame after which reading is given up."
    )
    _source: VideoSource = PrivateAttr()
    _readings: Readings = PrivateAttr()  # of a run: Dagster makes its resources anew

    def model_post_init(self, context: Any, /) -> None:
        """Begin without readings."""
        super().model_post_init(context)
        self._source = source_at(self.root, VideoCache.at(self.cache, self.cache_bytes))
        self._readings = Readings(self._source)

    def where(self, key: str) -> str:
        """Where the video of a partition is, for people."""
        return self._source.where(key)

    def fingerprint(self, key: str) -> str:
        """Digest of the video's content, see `core.library.fingerprints`; read once while the file stays as it is.

        Raises:
            VideoUnreadableError: The video isn't there or can't be read.
        """
        return self._readings.fingerprint(key)

    def source_stat(self, key: str) -> SourceStat | None:
        """The video's file as it was when its fingerprint was taken, see `Readings.source_stat`."""
        return self._readings.source_stat(key)

    def signatures(self, keys: Collection[str]) -> dict[str, Signature | None]:
        """By partition key what another file would alter, see `Readings.signatures`."""
        return self._readings.signatures(keys)

    def held(self, key: str, following: str | None = None) -> AbstractContextManager[None]:
        """Keep what `probe` gave of a video readable for as long as the context lasts, see `Readings.held`."""
        return self._readings.held(key, following)

    def probe(self, key: str) -> VideoProbe:
        """What the video's container says, see `core.video.probing`; read once while the file stays as it is.

        Raises:
            VideoUnreadableError: The file isn't there, or is no video.
            VideoTimeoutError: Reading takes longer than `video_timeout`.
        """
        return self._readings.probe(key, timeout_seconds=self.video_timeout)


def clip_model_of(context: dg.AssetExecutionContext, names: LibraryNames) -> ClipModelResource:
    """The library's model; whoever asks for it requires the resource `names("clip_model")`."""
    model: ClipModelResource = getattr(context.resources, names("clip_model"))
    return model


def video_library_of(context: Context, names: LibraryNames) -> VideoLibrary:
    """The library's videos; whoever asks for them requires the resource `names("library")`."""
    library: VideoLibrary = getattr(context.resources, names("library"))
    return library


_Which = tuple[str, str | None, str, tuple[str, ...], Precision]

_loaded: dict[_Which, tuple[str, tuple[ClipModel, ...]]] = {}
"""What this process has loaded, with the SHA-256 of its weights: a changed checkpoint takes its old one's place."""


def _load_once(which: _Which, sha256: str) -> tuple[ClipModel, ...]:
    """Replicas of a model: its name, its checkpoint, the folder of published weights, the devices and the precision."""
    if which not in _loaded or _loaded[which][0] != sha256:
        _loaded.pop(which, None)  # before the next one takes its memory
        name, checkpoint, weights, devices, precision = which
        models = (
            load_model(name, checkpoint=checkpoint, weights_folder=weights, device=device, precision=precision)
            for device in devices
        )
        _loaded[which] = (sha256, tuple(models))
    return _loaded[which][1]
