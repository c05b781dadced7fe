r"""The files of one video, under the names that video_features' users read, and a small json that says what they are.

``<stem>_clip.npy`` float32 or float64 (T, D), ``<stem>_timestamps_ms.npy`` float64 (T,), ``<stem>_fps.npy`` float64 ();
or each as ``.pkl``. ``<stem>_clip.json`` is written last and removed first: files without it aren't ours.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clip_assets.core.errors import ResultCorruptError, ResultUnwritableError, SettingsError
from clip_assets.core.library.keys import MAX_PART_BYTES
from clip_assets.core.store.formats import load_pickle
from clip_assets.extract.inputs import Video
from clip_assets.extract.options import ExtractOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARRAYS = ("clip", "fps", "timestamps_ms")
"""What is saved of a video, each in a file of its own."""


@dataclass(frozen=True)
class ResultFiles:
    """Where the results of one video are.

    Attributes:
        folder: The folder, which needn't exist.
        stem: What the files' names begin with: the video's name without its extension.
        suffix: Of the format.
    """

    folder: Path
    stem: str
    suffix: Literal[".npy", ".pkl"]

    @property
    def names(self) -> dict[str, str]:
        """The file's name for each array."""
        return {array: f"{self.stem}_{array}{self.suffix}" for array in ARRAYS}

    @property
    def note(self) -> Path:
        """The json that says what the other files were made from."""
        return self.folder / f"{self.stem}_clip.json"


@dataclass(frozen=True)
class Standing:
    """What is there already of the files that are to be written.

    Attributes:
        state: ``absent``; ``equal``: all of them, whole and made from the same; ``other``: something else.
        reason: What the other thing is.
        sampling_version: Of the sampling that chose the frames of equal files; see `core.sampling`.
        damage: What is missing of the video that equal files are of; empty for a whole one.
    """

    state: Literal["absent", "equal", "other"]
    reason: str = ""
    sampling_version: int = 1
    damage: str = ""


def result_files(options: ExtractOptions, model_name: str, videos: Iterable[Video]) -> dict[Video, ResultFiles]:
    """Where each video's results go.

    Raises:
        SettingsError: Two videos have the same files.
    """
    folder = options.output_path
    if options.layout == "video_features":
        folder = folder / "clip" / model_name.replace("/", "_")
    suffix: Literal[".npy", ".pkl"] = ".pkl" if options.on_extraction == "save_pickle" else ".npy"
    files: dict[Video, ResultFiles] = {}
    owners: dict[ResultFiles, Video] = {}
    for video in videos:
        subfolder = _seen_from_here(video.path).parent if options.keep_tree else Path()
        target = ResultFiles(folder / subfolder, video.path.stem, suffix)
        if other := owners.get(target):
            remedy = "Rename one" if options.keep_tree else "Add --keep-tree, which mirrors their folders, rename one"
            raise SettingsError(
                f"{other.name} and {video.name} would both be saved as {target.folder / target.names['clip']}. "
                f"{remedy}, or extract them into two folders (output_path)."
            )
        owners[target] = video
        files[video] = target
    return files


def check_names(files: ResultFiles) -> None:
    """Refuse files whose names the output folder's file system can't hold.

    Raises:
        SettingsError: A name is too long; the message names the limit.
    """
    longest = max([*files.names.values(), files.note.name], key=lambda name: len(os.fsencode(name)))
    limit = _name_limit(files.folder)
    excess = len(os.fsencode(longest)) - limit
    if excess > 0:
        raise SettingsError(
            f"its name is {excess} bytes too long for its results: {longest[:40]}...{longest[-30:]} would have "
            f"{limit + excess} bytes, and a file's name may have {limit}. Rename or link the video, to at most "
            f"{len(os.fsencode(files.stem)) - excess} bytes before its ending."
        )


def standing(files: ResultFiles, parameters: Mapping[str, Any]) -> Standing:
    """What is there already, every byte of it compared with its digest.

    Args:
        files: What is to be written.
        parameters: What it is to be made from, as plain JSON values.

    Raises:
        OSError: The files can't be read.
    """
    there = [name for name in files.names.values() if (files.folder / name).exists()]
    note = _read_note(files)
    if note is None:
        if not there and not files.note.exists():
            return Standing("absent")
        return Standing("other", f"no whole {files.note.name} says what they were made from")
    if differing := _differences(note["parameters"], parameters):
        return Standing("other", "; ".join(differing))
    if changed := [name for name in there if _sha256(files.folder / name) != note["files"].get(name)]:
        return Standing("other", f"{', '.join(changed)} changed since")
    if len(there) < len(files.names):
        return Standing("absent")
    return Standing("equal", sampling_version=note.get("sampling_version", 1), damage=note.get("damage", ""))


def write_result(
    files: ResultFiles,
    arrays: Mapping[str, NDArray[Any]],
    parameters: Mapping[str, Any],
    summary: Mapping[str, Any],
) -> None:
    """Write a video's files in place of those that its note lists; each is whole at any moment.

    Args:
        files: Where.
        arrays: What, by the names in ``ARRAYS``.
        parameters: What it was made from, as plain JSON values.
        summary: What else to say of it, as plain JSON values.

    Raises:
        ResultUnwritableError: The files can't be written; those of before stay.
    """
    data = {name: _encode(arrays[array], files.suffix) for array, name in files.names.items()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    old = _read_note(files) or {"parameters": None, "files": {}}
    others = {name: digest for name, digest in old["files"].items() if name not in data}  # of the other format
    kept = others if old["parameters"] == parameters else {}
    note = {"parameters": parameters, **summary, "created": _now(), "files": {**kept, **digests}}
    data[files.note.name] = json.dumps(note, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        _replace(files, data, others.keys() - kept.keys())
    except OSError as error:
        raise ResultUnwritableError(f"{files.folder} can't be written: {error.strerror or error}.") from error


def _replace(files: ResultFiles, data: Mapping[str, bytes], outdated: Iterable[str]) -> None:
    """Put files in place of those of before, once all are written; the note, which is the last, makes them whole."""
    files.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".clip-assets-", dir=files.folder) as temporary:
        for name, content in data.items():
            (Path(temporary) / name).write_bytes(content)
        files.note.unlink(missing_ok=True)
        for name in outdated:
            (files.folder / name).unlink(missing_ok=True)
        for name in data:
            (Path(temporary) / name).replace(files.folder / name)


def read_arrays(files: ResultFiles) -> dict[str, NDArray[Any]]:
    """The saved arrays by name.

    Raises:
        OSError: A file can't be read.
        ResultCorruptError: A file holds no array.
    """
    return {array: _decode((files.folder / name).read_bytes(), name) for array, name in files.names.items()}


def _name_limit(folder: Path) -> int:
    """Bytes that a file's name in a folder may have, which needn't exist yet."""
    there = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir()), None)
    if there is None or not hasattr(os, "pathconf"):
        return MAX_PART_BYTES
    return os.pathconf(there, "PC_NAME_MAX")


def _seen_from_here(path: Path) -> Path:
    """The path relative to the working directory, or to the root where it is outside of it."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symbolic links
    here = Path.cwd()
    return absolute.relative_to(here if absolute.is_relative_to(here) else absolute.anchor)


def _read_note(files: ResultFiles) -> dict[str, Any] | None:
    """What the note says; None where there is none, or none that this command wrote for these files."""
    with suppress(FileNotFoundError, NotADirectoryError, ValueError):
        note = json.loads(files.note.read_bytes())
        if isinstance(note, dict) and isinstance(note.get("parameters"), dict) and isinstance(note.get("files"), dict):
            own = (f"{files.stem}_{array}{suffix}" for array in ARRAYS for suffix in (".npy", ".pkl"))
            return note if note["files"].keys() <= set(own) else None
    return None


def _differences(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What the files were made from, where that isn't what is wanted."""
    return [
        "made from other bytes of the video" if name == "source" else f"{name} {made.get(name)}, wanted {wanted[name]}"
        for name in wanted
        if made.get(name) != wanted[name]
    ]


def _encode(array: NDArray[Any], suffix: str) -> bytes:
    if suffix == ".pkl":
        return pickle.dumps(array)
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _decode(data: bytes, name: str) -> NDArray[Any]:
    array = load_pickle(data) if name.endswith(".pkl") else np.load(io.BytesIO(data), allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ResultCorruptError(f"{name} holds a {type(array).__name__}, expected an array.")
    return array


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
