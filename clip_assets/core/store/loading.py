"""Files of a stored result, read and compared with what its manifest tells of them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from clip_assets.core.digests import sha256
from clip_assets.core.errors import ResultMissingError
from clip_assets.core.picture import Picture
from clip_assets.core.store.files import Files
from clip_assets.core.store.manifest import MANIFEST_NAME, Manifest
from clip_assets.core.store.refusals import reported


def load_manifest(files: Files, directory: str, asset: str, key: str) -> Manifest:
    """The manifest of what is stored under this asset and key.

    Raises:
        ResultMissingError: There is none, or one of something else; says which.
        StoreError: It can't be read.
    """
    path = f"{directory}/{MANIFEST_NAME}"
    try:
        return parse_manifest(read_if_there(files, path), asset, key)
    except ValueError as error:
        raise ResultMissingError(
            f"No whole result of {asset} is stored for {key!r}: {path} is no manifest of it, as {error}."
        ) from error


def parse_manifest(data: bytes | None, asset: str, key: str) -> Manifest:
    """The manifest that these bytes are.

    Raises:
        ValueError: There are none, or they are no manifest of this asset and key; says which.
    """
    if data is None:
        raise ValueError("it doesn't exist")
    manifest = Manifest.from_json(data)
    if (manifest.asset, manifest.partition_key) != (asset, key):
        raise ValueError(f"it belongs to {manifest.partition_key!r} of {manifest.asset}")
    return manifest


def load_files(files: Files, directory: str, manifest: Manifest) -> tuple[dict[str, bytes], list[str]]:
    """The bytes of each file that is there, and what is wrong with them.

    Raises:
        StoreError: They can't be read.
    """
    loaded: dict[str, bytes] = {}
    problems = []
    with reported("read", directory):
        found = files.read_all([f"{directory}/{name}" for name in manifest.files])
    for (name, expected), data in zip(manifest.files.items(), found, strict=True):
        if data is None:
            problems.append(f"{name} is missing")
            continue
        loaded[name] = data
        if (digest := sha256(data)) != expected.sha256:
            problems.append(
                f"{name} has {len(data)} bytes with SHA-256 {digest}, "
                f"expected {expected.size} bytes with SHA-256 {expected.sha256}"
            )
    return loaded, problems


def load_pictures(files: Files, directory: str, manifest: Manifest, names: Collection[str]) -> list[Picture]:
    """Pictures of the manifest's, without those that are gone or have other bytes.

    Raises:
        StoreError: They can't be read.
    """
    with reported("read", directory):
        found = files.read_all([f"{directory}/{name}" for name in names])
    read = ((name, data, manifest.pictures[name]) for name, data in zip(names, found, strict=True))
    return [
        Picture(name, data, stored.alt, stored.shown)
        for name, data, stored in read
        if data is not None and sha256(data) == stored.sha256
    ]


def read_if_there(files: Files, path: str) -> bytes | None:
    """The bytes of a file, None when there is none.

    Raises:
        StoreError: It can't be read.
    """
    with reported("read", path), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return files.read(path)
    return None
