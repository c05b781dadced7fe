"""What the arguments mean: validated options of this command, and the platform's settings for all else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clip_assets.core.errors import SettingsError
from clip_assets.extract.arguments import Arguments, read_scalar, read_strings
from clip_assets.settings import AbsolutePath, Settings

OnExtraction = Literal["print", "save_numpy", "save_pickle"]
PredFormat = Literal["text", "table", "json", "csv"]

ALIASES = {"device": "device_ids"}
"""Other names of keys."""

SETTINGS_KEYS = (
    *("model_name", "checkpoint", "weights", "device_ids", "precision", "batch_size"),
    *("extraction_fps", "extraction_total", "frame_selection", "pred_texts"),
    *("decoder", "on_damage", "video_timeout"),
)
"""Keys that are settings too: where they aren't given, the environment counts, then the setting's default."""


class ExtractOptions(BaseModel):
    """The keys that only this command has."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    feature_type: Literal["clip"] = Field(default="clip", description="clip is the only one.")
    video_paths: list[str] = Field(default=[], description="Videos, and folders of videos: a path, or a YAML list.")
    file_with_video_paths: AbsolutePath | None = Field(
        default=None, description="Text file with a path a line; blank lines and those that begin with # don't count."
    )
    on_extraction: OnExtraction = Field(
        default="print", description="What becomes of the features: print, save_numpy or save_pickle."
    )
    output_path: AbsolutePath = Field(default=Path("output"), description="Folder that features are saved to.")
    layout: Literal["flat", "video_features"] = Field(
        default="flat", description="Where in output_path: flat, or video_features (in clip/<model name>/)."
    )
    keep_tree: bool = Field(
        default=False,
        description="Mirror the videos' folders below output_path: as seen from the working directory, or from / "
        "where they are outside of it.",
    )
    feature_dtype: Literal["float32", "float64"] = Field(default="float32", description="Of the saved features.")
    force: bool = Field(default=False, description="Extract again, and overwrite what is there.")
    show_pred: bool = Field(default=False, description="Print how well each frame matches the sentences.")
    pred_format: PredFormat = Field(
        default="text", description="How: text, table, json or csv; the last two leave all else out of the output."
    )
    cpu: bool = Field(default=False, description="The same as device_ids=cpu.")
    tmp_path: str | None = Field(default=None, description="Without effect: nothing is re-encoded.")
    keep_tmp_files: bool = Field(default=False, description="Without effect: nothing is re-encoded.")
    verbose: bool = Field(default=False, description="Show the traceback of each failure.")


FLAGS = tuple(name for name, field in ExtractOptions.model_fields.items() if field.annotation is bool)
KEYS = (*ExtractOptions.model_fields, *SETTINGS_KEYS, *ALIASES)


@dataclass(frozen=True)
class Request:
    """A call of the command, understood.

    Attributes:
        options: This command's.
        settings: The platform's.
        paths: What to extract, in order: videos and folders; ``options.file_with_video_paths`` names more.
    """

    options: ExtractOptions
    settings: Settings
    paths: tuple[str, ...]


def read_request(arguments: Arguments) -> Request:
    """Understand the arguments; settings that they leave open come from the environment.

    Raises:
        SettingsError: A value isn't allowed, or nothing to extract was named.
    """
    given = {ALIASES.get(key, key): _typed(key, value) for key, value in arguments.values.items()}
    options = _options({key: value for key, value in given.items() if key in ExtractOptions.model_fields})
    settings = _settings({key: value for key, value in given.items() if key in SETTINGS_KEYS}, cpu=options.cpu)
    paths = (*options.video_paths, *arguments.paths)
    if not paths and options.file_with_video_paths is None:
        raise SettingsError(
            "No video was named. Give paths of videos or folders, video_paths=... or file_with_video_paths=...; "
            "clip-assets extract --help lists all keys."
        )
    return Request(options, settings, paths)


def help_lines() -> Iterator[str]:
    """What ``--help`` prints."""
    yield "usage: clip-assets extract [KEY=VALUE | --key VALUE | PATH ...] [-- PATH ...]"
    yield ""
    yield "CLIP features of videos, by video_features' arguments. A PATH is a video, or a folder: all videos below it."
    yield "Of a key given twice the last value counts. Exit code: 0 all done, 1 some videos failed, 2 wrong arguments"
    yield "and nothing done, 130 interrupted."
    yield ""
    yield "keys:"
    for name, field in ExtractOptions.model_fields.items():
        yield from _help_of(name, field)
    yield ""
    yield "keys that are settings too (not given: the environment's CLIP_ASSETS_..., then the default):"
    for name in SETTINGS_KEYS:
        yield from _help_of(name, Settings.model_fields[name])
    for alias, name in ALIASES.items():
        yield f"  {alias}: another name of {name}"


def _help_of(name: str, field: Any) -> Iterator[str]:
    default = "" if field.default in (None, []) else f" (default: {field.default})"
    yield f"  {name}{default}"
    yield f"      {field.description}"


def _typed(key: str, value: str) -> Any:
    if key in ("video_paths", "pred_texts"):
        return read_strings(value)
    if ALIASES.get(key, key) == "device_ids":
        return _device_ids(read_strings(value))
    return read_scalar(value)


def _device_ids(names: list[str] | None) -> Any:
    """``cuda:2`` is 2, ``cuda`` is 0; one name that is no id stands alone."""
    if names is None:
        return None
    ids = [name.removeprefix("cuda:") if name != "cuda" else "0" for name in names]
    if len(ids) == 1 and not ids[0].isdigit():
        return ids[0]
    return [int(name) if name.isdigit() else name for name in ids]


def _options(given: Mapping[str, Any]) -> ExtractOptions:
    try:
        return ExtractOptions(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        fields = ExtractOptions.model_fields
        raise SettingsError(
            "\n".join(
                f"{detail['loc'][0]}={detail['input']!r} is not allowed: {detail['msg']}. "
                f"It means: {fields[str(detail['loc'][0])].description}"
                for detail in error.errors()
            )
        ) from error


def _settings(given: dict[str, Any], cpu: bool) -> Settings:
    """The settings; null is a value where the default is, else the key counts as not given."""
    given = {
        key: value for key, value in given.items() if value is not None or Settings.model_fields[key].default is None
    }
    if cpu:
        given["device_ids"] = "cpu"
    fps, total = given.get("extraction_fps"), given.get("extraction_total")
    if fps is not None and total is not None:
        raise SettingsError(f"extraction_fps={fps} and extraction_total={total} exclude each other. Leave one out.")
    if fps is not None or total is not None:  # what is given displaces the other one of the environment
        given |= {"extraction_fps": fps, "extraction_total": total}
    settings = Settings.from_environment(**given)
    if "checkpoint" in given and settings.custom_checkpoint is None:
        raise SettingsError(
            f"checkpoint={given['checkpoint']} was given, but model_name is {settings.model_name}, which has weights "
            "of its own. Add model_name=custom, or leave the checkpoint out."
        )
    return settings
