"""Arrays of a stored result without the rest of it: whole and checked, or some rows, unchecked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from mmap import mmap

import numpy as np

from clip_assets.core.digests import sha256
from clip_assets.core.errors import ResultCorruptError, ResultMissingError
from clip_assets.core.store.files import Files
from clip_assets.core.store.formats import decode_fields
from clip_assets.core.store.manifest import Manifest, StoredArray, StoredFile
from clip_assets.core.store.refusals import reported


def whole_arrays(files: Files, directory: str, manifest: Manifest, fields: Sequence[str]) -> dict[str, np.ndarray]:
    """Arrays whose files' digests were compared; see `Store.arrays`."""
    if manifest.format == "pickle":
        (name,) = manifest.files
        values = decode_fields("pickle", {name: bytes(_checked(files, directory, manifest, name))})
        return {field: values[field] for field in fields}
    arrays = {}
    for field in fields:
        data, stored = _checked(files, directory, manifest, f"{field}.npy"), manifest.arrays[field]
        header, _ = _layout(manifest, field)
        arrays[field] = np.frombuffer(data, np.dtype(stored.dtype), offset=header).reshape(stored.shape)
    return arrays


def some_rows(
    files: Files, directory: str, manifest: Manifest, field: str, spans: Sequence[tuple[int, int]]
) -> list[np.ndarray]:
    """Rows of an array, no digest compared; see `Store.rows`."""
    if manifest.format == "pickle":
        (name,) = manifest.files
        with _read(f"{directory}/{name}"):
            whole = decode_fields("pickle", {name: files.read(f"{directory}/{name}")})[field]
        return [whole[first:end] for first, end in spans]
    stored, name = manifest.arrays[field], f"{field}.npy"
    header, row_bytes = _layout(manifest, field)
    ranges = [(header + first * row_bytes, header + end * row_bytes) for first, end in spans]
    with _read(f"{directory}/{name}"):
        parts = files.read_ranges(f"{directory}/{name}", ranges)
    if any(len(part) != end - start for part, (start, end) in zip(parts, ranges, strict=True)):
        raise ResultCorruptError(
            f"{directory}/{name} ends before the {manifest.files[name].size} bytes that were stored."
        )
    return [np.frombuffer(part, np.dtype(stored.dtype)).reshape(-1, *stored.shape[1:]) for part in parts]


def header_bytes(manifest: Manifest, field: str) -> int:
    """Bytes of the header of an array's ``.npy`` file."""
    return _layout(manifest, field)[0]


def layout_of(asset: str, key: str, field: str, array: StoredArray, header: int) -> Manifest:
    """As much of a manifest as `some_rows` takes, of whom only the layout of one array is known.

    Args:
        asset: The asset.
        key: Its partition key.
        field: The array's name; it has a ``.npy`` file of its own.
        array: Its shape and dtype.
        header: Bytes before it in its file.
    """
    size = header + math.prod(array.shape) * np.dtype(array.dtype).itemsize
    return Manifest(
        asset, key, "numpy", "", "", {}, {}, "", {field: array}, {f"{field}.npy": StoredFile(size, sha256="")}
    )


def _layout(manifest: Manifest, field: str) -> tuple[int, int]:
    """Bytes of the header of an array's ``.npy`` file, and of each row behind it."""
    stored = manifest.arrays[field]
    row_bytes = math.prod(stored.shape[1:]) * np.dtype(stored.dtype).itemsize
    return manifest.files[f"{field}.npy"].size - stored.shape[0] * row_bytes, row_bytes


def _checked(files: Files, directory: str, manifest: Manifest, name: str) -> bytes | mmap:
    """The bytes of a file, which are those that were stored."""
    with _read(f"{directory}/{name}"):
        data = files.mapped(f"{directory}/{name}")
    if sha256(data) != manifest.files[name].sha256:
        raise ResultCorruptError(f"{directory}/{name} has other bytes than those that were stored.")
    return data


@contextmanager
def _read(path: str) -> Iterator[None]:
    """Errors of the file system as errors of the store; a file that isn't there is a missing result."""
    with reported("read", path):
        try:
            yield
        except FileNotFoundError as error:
            raise ResultMissingError(f"{path} is gone.") from error
