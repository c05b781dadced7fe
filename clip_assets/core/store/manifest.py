"""The manifest: what one stored result is, what it was made from, and the bytes it consists of."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from clip_assets.core.picture import is_picture_name
from clip_assets.core.records import SourceStat

Format = Literal["numpy", "pickle"]

_Size = Annotated[int, Field(ge=0)]

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1

_START = f'{{\n "schema_version": {SCHEMA_VERSION},'.encode()


@dataclass(frozen=True)
class StoredArray:
    """What one field of the record looks like as an array.

    Attributes:
        shape: Empty for a scalar.
        dtype: numpy's name for it, with the byte order where it has one (``<f4``, ``<U12``).
    """

    shape: tuple[_Size, ...]
    dtype: str


@dataclass(frozen=True)
class StoredFile:
    """What one file consists of.

    Attributes:
        size: Bytes.
        sha256: Of the whole file, 64 hexadecimal digits.
    """

    size: _Size
    sha256: str


@dataclass(frozen=True)
class StoredPicture:
    """A picture that is stored beside a result, to look at; the result is whole without it.

    Attributes:
        size: Bytes.
        sha256: Of the whole file, 64 hexadecimal digits.
        alt: What it shows, in words.
        shown: Whether people look at it; else it is only kept, for later steps.
    """

    size: _Size
    sha256: str
    alt: str
    shown: bool = True


@dataclass(frozen=True)
class Manifest:
    """What one stored result is. It is written last, so that a result without one isn't whole.

    Attributes:
        asset: The asset's name.
        partition_key: The partition's key, unescaped.
        format: ``numpy``, one file per field, or ``pickle``, one file for all.
        record: Name of the record's class, as in ``ClipFeatures``.
        data_version: Digest of all that the bytes depend on, as the caller computes it.
        parameters: Plain JSON values that say in words what the result was made with.
        summary: Plain JSON values to show of the result, such as counts and seconds.
        created: Time of writing, UTC, ISO 8601.
        arrays: For each field of the record its shape and dtype, in the record's order.
        files: For each file, by its name, its size and digest.
        pictures: For each picture, by its file's name, what is known of it.
        source_stat: The video's file as it was read; None where that wasn't noted, and in the JSON absent.
    """

    asset: str
    partition_key: str
    format: Format
    record: str
    data_version: str
    parameters: dict[str, Any]
    summary: dict[str, Any]
    created: str
    arrays: dict[str, StoredArray]
    files: dict[str, StoredFile]
    pictures: dict[str, StoredPicture] = field(default_factory=dict)
    source_stat: SourceStat | None = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")

    def to_json(self) -> bytes:
        """The manifest as the bytes of ``manifest.json``."""
        content = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        if self.source_stat is None:
            del content["source_stat"]
        elif not self.source_stat.etag:
            del content["source_stat"]["etag"]
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """The manifest that ``to_json`` made these bytes of.

        Raises:
            ValueError: The bytes are torn or foreign, or of another schema version; says which.
        """
        if data.startswith(_START):  # as each is that was written here: in a third of the time
            with suppress(ValidationError):
                manifest = _validator().validate_json(b"{" + data[len(_START) :])
                if manifest._is_of_its_format():
                    return manifest
        return cls._from_any(data)

    @classmethod
    def _from_any(cls, data: bytes) -> Manifest:
        """The manifest that these bytes are, which may be foreign, or hold a key that isn't UTF-8."""
        try:
            content = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"it isn't JSON ({error})") from error
        if not isinstance(content, dict) or "schema_version" not in content:
            raise ValueError("it has no schema_version, so it isn't a manifest of clip_assets")
        version = content.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise ValueError(
                f"it has schema version {version!r}, and this version of clip_assets reads {SCHEMA_VERSION}: "
                "use the version of clip_assets that wrote it"
            )
        try:
            arrays = {name: StoredArray(tuple(v["shape"]), v["dtype"]) for name, v in content.pop("arrays").items()}
            files = {name: StoredFile(**v) for name, v in content.pop("files").items()}
            pictures = {name: StoredPicture(**v) for name, v in content.pop("pictures", {}).items()}
            stat = content.pop("source_stat", None)
            source_stat = None if stat is None else SourceStat(**stat)
            manifest = cls(**content, arrays=arrays, files=files, pictures=pictures, source_stat=source_stat)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"its fields aren't those of schema version {SCHEMA_VERSION} ({error})") from error
        if not manifest._is_sound():
            raise ValueError(f"its values aren't those of schema version {SCHEMA_VERSION}")
        return manifest

    def _is_sound(self) -> bool:
        """Whether each value has its type, and the files are those of the format and no others."""
        words = [self.asset, self.partition_key, self.record, self.data_version, self.created]
        words += [array.dtype for array in self.arrays.values()] + [file.sha256 for file in self.files.values()]
        counts = [length for array in self.arrays.values() for length in array.shape]
        counts += [file.size for file in self.files.values()]
        words += [word for picture in self.pictures.values() for word in (picture.sha256, picture.alt)]
        counts += [picture.size for picture in self.pictures.values()]
        if self.source_stat:
            counts += [self.source_stat.size, self.source_stat.mtime_ns]
            words.append(self.source_stat.etag)
        return (
            set(map(type, words)) <= {str}
            and set(map(type, counts)) <= {int}
            and min(counts, default=0) >= 0
            and isinstance(self.parameters, dict)
            and isinstance(self.summary, dict)
            and self.format in get_args(Format)
            and all(isinstance(picture.shown, bool) for picture in self.pictures.values())
            and self._is_of_its_format()
        )

    def _is_of_its_format(self) -> bool:
        """Whether the files are those of the format and no others, pictures aside, and the video has size and time."""
        return (
            self.files.keys() == set(file_names(self.format, self.asset, tuple(self.arrays)))
            and all(map(is_picture_name, self.pictures))
            and (self.source_stat is None or min(self.source_stat.size, self.source_stat.mtime_ns) >= 0)
        )


@cache
def _validator() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)


@lru_cache(maxsize=64)
def file_names(form: Format, asset: str, fields: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the files that hold these fields of an asset, the manifest aside.

    Raises:
        ValueError: A field's name isn't an identifier, and would lead out of the directory.
    """
    if not all(name.isidentifier() for name in fields):
        raise ValueError(f"its fields {list(fields)} aren't all identifiers")
    return tuple(f"{name}.npy" for name in fields) if form == "numpy" else (f"{asset}.pkl",)
