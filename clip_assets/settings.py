"""Every setting: its name, default, limits and description, read from the environment here and nowhere else.

`LibrarySettings` are those of one library of perhaps several, given by whoever makes it; `Settings` are those of the
library that the environment describes. A field ``batch_size`` is the environment variable ``CLIP_ASSETS_BATCH_SIZE``.
A file ``.env`` in the working directory counts as environment and comes before it, as in Dagster's own commands.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from dotenv import load_dotenv
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from clip_assets.core.errors import SettingsError
from clip_assets.core.file_systems import is_url
from clip_assets.core.library.source import VideoSource, source_at
from clip_assets.core.library.video_cache import DEFAULT_LIMIT, VideoCache
from clip_assets.core.pipeline.decoding import PipelineOptions
from clip_assets.core.sampling import Sampling
from clip_assets.core.video import DecoderName
from clip_assets.models import family_of, is_model, model_names

PREFIX = "CLIP_ASSETS_"
_ROOT = "root"
TESTS_PREFIX = "CLIP_ASSETS_TEST_"


def _from_yaml(value: Any) -> Any:
    """The environment holds strings; lists and numbers among them are written as YAML."""
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {error}") from error


def _one_device_list(value: Any) -> Any:
    return [value] if isinstance(value, int) else value


def _auto_or_count(value: Any) -> Any:
    if value == "auto":
        return value
    if not str(value).isdecimal() or int(value) < 1:
        raise ValueError("It is auto, or a whole number from 1 on")
    return int(value)


def _on_or_off(value: Any) -> Any:
    """YAML takes on and off, where they aren't quoted, for true and false."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _absolute(path: Path, info: ValidationInfo) -> Path:
    if re.match(r"[a-z][a-z0-9+.-]+:/", str(path)):  # pathlib takes one of a URL's slashes away
        raise ValueError("A path of this machine is meant; where a URL may stand, it has :// in it")
    root = (info.context or {}).get(_ROOT, "")
    return Path(os.path.abspath(root / path.expanduser()))  # noqa: PTH100 - resolve() would follow symbolic links


def _spelled_out(location: Any) -> Any:
    return os.fspath(location) if isinstance(location, os.PathLike) else location


def _absolute_unless_url(location: str, info: ValidationInfo) -> str:
    return location if is_url(location) else str(_absolute(Path(location), info))


def _near(name: str, known: Iterable[str]) -> str:
    """A question whether the nearest of the known names was meant; empty where none is near."""
    plain = {other.lower(): other for other in known}
    found = difflib.get_close_matches(name.lower(), plain, n=1)
    return f" Did you mean {plain[found[0]]}?" if found else ""


def _known_model(name: str) -> str:
    if not is_model(name):
        names = model_names()
        raise ValueError(f"There is no model {name!r}.{_near(name, names)} Available: {', '.join(names)}")
    return name


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Location = Annotated[str, BeforeValidator(_spelled_out), AfterValidator(_absolute_unless_url)]
"""An absolute path, or an fsspec URL."""

DeviceIds = Literal["auto", "cpu"] | list[Annotated[int, Field(ge=0)] | Literal["cpu"]]
# As Dagster allows them.
Owner = Annotated[str, Field(pattern=r"^(team:[A-Za-z0-9_.-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7})$")]
TagKey = Annotated[str, Field(pattern=r"^([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}$")]
TagValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{0,63}$")]
Precision = Literal["auto", "fp32", "fp16", "bf16"]


class LibrarySettings(BaseModel):
    """A library's settings. Paths are made absolute: relative ones are relative to the working directory."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: str = Field(
        default="",
        pattern=r"^([A-Za-z][A-Za-z0-9_]*)?$",
        description="The library's name, where one Dagster instance has several: letters, digits, _.",
    )
    prefix: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_]+(/[A-Za-z0-9_]+)*)?$",
        description="What the asset keys begin with, as in films or media/films; unset: the library's name.",
    )
    videos: Location = Field(
        default="videos",
        description="The library: the folder of the videos, or any fsspec URL such as s3://bucket/films.",
    )
    cache: AbsolutePath | None = Field(
        default=None, description="Folder for copies of videos that lie at a URL; unset: ~/.cache/clip_assets/videos."
    )
    cache_size: ByteSize = Field(
        default=ByteSize(DEFAULT_LIMIT),
        description="What such copies may take, as 20GiB; those unused for the longest time go first.",
    )
    output: Location = Field(
        default="output", description="Where results are stored: a folder, or any fsspec URL such as s3://bucket/clip."
    )
    format: Literal["numpy", "pickle"] = Field(
        default="numpy", description="Format of stored results: a .npy file for each array, or one .pkl."
    )
    model_name: Annotated[str, AfterValidator(_known_model)] = Field(
        default="ViT-B/32",
        description="CLIP model, such as ViT-B/32; demo is the bundled one, custom the checkpoint's.",
    )
    checkpoint: Location = Field(
        default="models/clip/checkpoints/CLIP-custom.pth",
        description="Weights of the model named custom: a file, or any fsspec URL, fetched once a host.",
    )
    weights: Location = Field(
        default="~/.cache/clip", description="Folder that published weights are downloaded to, once; or the URL of one."
    )
    device_ids: Annotated[DeviceIds, NoDecode, BeforeValidator(_one_device_list), BeforeValidator(_from_yaml)] = Field(
        default="auto", description="Where to compute: auto (a GPU if there is one), cpu, or CUDA ids such as [0, 2]."
    )
    precision: Precision = Field(
        default="auto", description="Number format of the model: auto (fp16 on CUDA, else fp32), fp32, fp16 or bf16."
    )
    batch_size: Annotated[int | Literal["auto"], BeforeValidator(_auto_or_count)] = Field(
        default="auto",
        description="Frames that are encoded together, halved where memory ends; auto: 256 on GPUs, and on CPUs the "
        "fewer the larger the model, 9 for ViT-B/32.",
    )
    extraction_fps: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="Sampled frames per second; unset: every frame."
    )
    extraction_total: int | None = Field(
        default=None, ge=1, description="Sampled frames per video, evenly spaced; excludes extraction_fps."
    )
    frame_selection: Literal["on_screen", "ffmpeg"] = Field(
        default="on_screen",
        description="Frame taken at a sample's time: the one on screen, or the one that ffmpeg's fps filter emits.",
    )
    pred_texts: Annotated[list[str] | None, NoDecode, BeforeValidator(_from_yaml)] = Field(
        default=None,
        min_length=1,
        description="Sentences to match, a YAML list; unset: 'a photo of {class}' for the 400 Kinetics classes, "
        "or the demo model's own sentences.",
    )
    decoder: DecoderName = Field(default="pyav", description="Video decoder.")
    on_damage: Literal["fail", "keep"] = Field(
        default="fail", description="A video that ends early: fail, or keep the frames that decode and record it."
    )
    video_timeout: float = Field(
        default=60.0, gt=0, allow_inf_nan=False, description="Seconds without a frame after which a decoder is stopped."
    )

    pictures: Annotated[Literal["on", "off"], BeforeValidator(_on_or_off)] = Field(
        default="on", description="Contact sheets and plots for the UI: on, or off to save time and space."
    )
    export_parquet: AbsolutePath | None = Field(
        default=None,
        description="Folder of the asset library_parquet, all features as Parquet files; unset: there is none.",
    )
    browse_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="Address of `clip-assets browse`, which materializations link to; `clip-assets dev` sets it.",
    )
    group: str = Field(
        default="clip",
        pattern=r"^[A-Za-z0-9_]+$",
        description="Name of the assets' group in Dagster: letters, digits, _; that of a named library is its name.",
    )
    owners: Annotated[list[Owner], NoDecode, BeforeValidator(_from_yaml)] = Field(
        default=[], description="Owners of the assets in Dagster's catalogue, a YAML list of addresses or team:NAME."
    )
    tags: Annotated[dict[TagKey, TagValue], NoDecode, BeforeValidator(_from_yaml)] = Field(
        default={}, description="Tags of the assets in Dagster's catalogue, a YAML mapping such as {project: films}."
    )
    videos_per_run: int = Field(default=16, ge=1, description="Videos that share a run, and so one loaded model.")
    sensor: Annotated[Literal["off", "on"], BeforeValidator(_on_or_off)] = Field(
        default="off", description="Whether the sensors run without being switched on in the UI."
    )
    sensor_interval: int = Field(default=10, ge=1, description="Seconds from one look at the library to the next.")
    settle_seconds: float = Field(
        default=10.0, ge=0, allow_inf_nan=False, description="Seconds that a new file must stay as it is to be taken."
    )
    removed: Literal["keep", "trash"] = Field(
        default="keep",
        description="Results of a video that was removed: keep them, or move them to trash/ below the output.",
    )

    @model_validator(mode="before")
    @classmethod
    def _own_places(cls, given: Any) -> Any:
        """A library with a name has its own group, prefix and place for results, unless others are given."""
        if not isinstance(given, dict) or not (name := given.get("name")):
            return given
        return {"group": name, "prefix": name, "output": f"output/{name}", **given}

    @model_validator(mode="after")
    def _one_sampling(self) -> LibrarySettings:
        if self.extraction_fps is not None and self.extraction_total is not None:
            fps, total = map(self.called, ("extraction_fps", "extraction_total"))
            raise ValueError(f"{fps} and {total} exclude each other; unset one")
        return self

    @classmethod
    def called(cls, field: str) -> str:
        """What a field is called where it is written."""
        return field

    @classmethod
    def checked(cls, root: Path | None = None, /, **given: Any) -> Self:
        """These settings; those that aren't given are the defaults, whatever the environment says.

        Args:
            root: What relative paths are relative to; None: the working directory.
            given: Values by name.

        Raises:
            SettingsError: A value isn't allowed, or a name isn't known.
        """
        try:
            return cls.model_validate(given, context={_ROOT: root or ""})
        except ValidationError as error:
            raise SettingsError("\n".join(_explain(cls, detail, given) for detail in error.errors())) from error

    @property
    def source(self) -> VideoSource:
        """The videos."""
        return source_at(self.videos, self.video_cache)

    @property
    def video_cache(self) -> VideoCache:
        """Where copies of videos are kept that lie at a URL."""
        return VideoCache.at(self.cache, self.cache_size)

    @property
    def sampling(self) -> Sampling:
        """The frames that are sampled by default."""
        return Sampling(self.extraction_fps, self.extraction_total, self.frame_selection)

    @property
    def pipeline_options(self) -> PipelineOptions:
        """How videos are extracted."""
        return PipelineOptions(
            batch_size=None if self.batch_size == "auto" else self.batch_size,
            decoder=self.decoder,
            on_damage=self.on_damage,
            video_timeout=self.video_timeout,
        )

    @property
    def custom_checkpoint(self) -> str | None:
        """The checkpoint, if the model is the one that has it."""
        return self.checkpoint if family_of(self.model_name).takes_checkpoint(self.model_name) else None


class Settings(LibrarySettings, BaseSettings):
    """The settings of the library that the environment describes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True)

    @classmethod
    def from_environment(cls, **given: Any) -> Settings:
        """The settings that the environment gives, save those that are given.

        Raises:
            SettingsError: A variable or a given value isn't allowed, or a variable's name isn't known.
        """
        _refuse_unknown_variables(cls)
        return cls.checked(**given)

    @classmethod
    def called(cls, field: str) -> str:
        """The environment variable of a field."""
        return variable_name(field)


def load_env_file() -> None:
    """Put the variables of the working directory's ``.env`` into the environment, as Dagster's commands do."""
    load_dotenv(Path.cwd() / ".env", override=True)


def variable_name(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def _refuse_unknown_variables(cls: type[Settings]) -> None:
    known = [variable_name(field) for field in cls.model_fields]
    for name in os.environ:
        if name.startswith(PREFIX) and not name.startswith(TESTS_PREFIX) and name not in known:
            raise SettingsError(f"Unknown setting {name}.{_near(name, known)} Known: {', '.join(known)}.")


def _explain(cls: type[LibrarySettings], detail: Any, given: Mapping[str, Any]) -> str:
    message = str(detail["msg"]).removeprefix("Value error, ")
    if not detail["loc"]:
        return f"{message}."
    field = str(detail["loc"][0])
    if field not in cls.model_fields:
        return f"Unknown setting {field}.{_near(field, cls.model_fields)} Known: {', '.join(cls.model_fields)}."
    name = field if field in given else cls.called(field)
    meaning = cls.model_fields[field].description
    return f"{name}={detail['input']!r} is not allowed: {message}. It means: {meaning}"
