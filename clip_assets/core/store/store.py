"""The result store: one directory per asset and partition, whole or absent, every byte checked against its manifest."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import numpy as np
from upath import UPath

from clip_assets.core.digests import sha256
from clip_assets.core.errors import ResultCorruptError, ResultMissingError, SettingsError, StoreError
from clip_assets.core.file_systems import file_system
from clip_assets.core.picture import Picture
from clip_assets.core.records import SourceStat
from clip_assets.core.store.arrays import some_rows, whole_arrays
from clip_assets.core.store.files import Files, LocalFiles
from clip_assets.core.store.formats import decode_fields, encode_record
from clip_assets.core.store.keys import escape_key
from clip_assets.core.store.loading import load_files, load_manifest, load_pictures, read_if_there
from clip_assets.core.store.manifest import MANIFEST_NAME, Format, Manifest, StoredFile, StoredPicture
from clip_assets.core.store.many import Many
from clip_assets.core.store.refusals import TRASH, checked_asset, damaged, plain_json, reported
from clip_assets.core.store.remote import RememberedFiles, RemoteFiles

if TYPE_CHECKING:
    from clip_assets.core.records import Record

R = TypeVar("R", bound="Record")


class Store:
    """Results by asset and partition key, each a directory ``<root>/<asset>/<escaped key>`` with a manifest.

    A result is whole or absent, whatever is killed when: the manifest is removed before the first old file is touched
    and written after the last new one. Two keys never share a directory, except keys that differ only in case, or in
    the Unicode form of a letter, on file systems that take these for one: there the later one replaces the earlier,
    whose result is then missing.

    Args:
        root: A folder, or an fsspec URL.
        format: Of the results this store writes; it reads both.
        remembers: Bytes that are kept of what was read or written elsewhere than on a local disk, so that it isn't
            asked for again: for whoever alone changes it meanwhile.

    Attributes:
        root: Absolute.
        format: Of the results this store writes.
        is_local: Whether it is on a local disk.
        many: Looks at very many results at once.

    Raises:
        SettingsError: The format isn't known, or the package that reaches the URL isn't installed.
    """

    def __init__(self, root: str | os.PathLike[str] | UPath, format: Format = "numpy", *, remembers: int = 0) -> None:
        if format not in get_args(Format):
            raise SettingsError(f"The store's format is {format!r}, allowed are {' and '.join(get_args(Format))}.")
        self.format: Format = format
        self.root = UPath(root).absolute()
        self._base = self.root.path.rstrip("/")
        self.is_local = self.root.protocol in ("", "file", "local")
        self._files: Files = LocalFiles(self._base) if self.is_local else RemoteFiles(file_system(self.root))
        if remembers and not self.is_local:
            self._files = RememberedFiles(self._files, remembers)
        self.many = Many(self._files, self._base)

    def write(
        self,
        asset: str,
        key: str,
        record: Record,
        *,
        data_version: str,
        parameters: Mapping[str, Any],
        summary: Mapping[str, Any] | None = None,
        pictures: Sequence[Picture] = (),
        source_stat: SourceStat | None = None,
    ) -> Manifest:
        """Store a record in place of what was stored for this asset and key.

        On a local disk the new files are complete before the old result is given up, so that a full disk costs nothing.

        Args:
            asset: Letters, digits and underscores.
            key: Any string.
            record: Its fields are arrays, plain scalars, strings and tuples of strings.
            data_version: Digest of all that the record depends on.
            parameters: What it was made with, as plain JSON values.
            summary: What to show of it without reading it, as plain JSON values.
            pictures: What to look at; the result is whole without them.
            source_stat: The video's file as it was when its fingerprint was taken.

        Raises:
            ResultUnwritableError: The files can't be written; what was stored before stays.
            StoreError: A field can't be stored.
            SettingsError: ``asset``, ``parameters`` or a picture's name isn't as it should be.
        """
        directory = self._directory(asset, key)
        arrays, files = encode_record(record, self.format, asset)
        manifest = Manifest(
            asset=asset,
            partition_key=key,
            format=self.format,
            record=type(record).__name__,
            data_version=data_version,
            parameters=plain_json(parameters),
            summary=plain_json(summary or {}),
            created=datetime.now(UTC).isoformat(timespec="milliseconds"),
            arrays=arrays,
            files={name: StoredFile(len(data), sha256(data)) for name, data in files.items()},
            pictures={p.file_name: StoredPicture(len(p.data), sha256(p.data), p.alt, p.shown) for p in pictures},
            source_stat=source_stat,
        )
        files |= {picture.file_name: picture.data for picture in pictures}
        with reported("written", directory):
            self._commit(manifest, files)
        return manifest

    def read(self, asset: str, key: str, record_type: type[R]) -> R:
        """The stored record, in whichever format, after every file's digest was compared with the manifest's.

        Raises:
            ResultMissingError: Nothing whole is stored.
            ResultCorruptError: A file's bytes aren't those that were written.
            StoreError: Another type of record is stored, or the files can't be read.
        """
        directory = self._directory(asset, key)
        manifest = load_manifest(self._files, directory, asset, key)
        if manifest.record != record_type.__name__:
            raise StoreError(
                f"{self.path(asset, key)} holds a {manifest.record}, and a {record_type.__name__} was asked for."
            )
        files, problems = load_files(self._files, directory, manifest)
        if problems:
            raise damaged(asset, key, self.path(asset, key), problems)
        try:
            values = decode_fields(manifest.format, files)
        except ResultCorruptError as error:
            raise damaged(asset, key, self.path(asset, key), [str(error)]) from error
        expected = {field.name: field.default for field in fields(record_type)}
        required = {name for name, default in expected.items() if default is MISSING}
        if not required <= set(values) <= set(expected):  # a field that is younger than the result has its default
            problem = f"it has the fields {sorted(values)}, expected {sorted(expected)}"
            raise damaged(asset, key, self.path(asset, key), [problem])
        return record_type(**values)

    def manifest(self, asset: str, key: str) -> Manifest | None:
        """What is stored for this asset and key, at the cost of one small read; None when nothing whole is.

        Raises:
            StoreError: The store can't be read, which says nothing about the result.
        """
        try:
            return load_manifest(self._files, self._directory(asset, key), asset, key)
        except ResultMissingError:
            return None

    def pictures(self, manifest: Manifest) -> list[Picture]:
        """The pictures of a stored result that are shown, in order; those that are gone or damaged are left out.

        Raises:
            StoreError: The files can't be read.
        """
        return self._pictures(manifest, [name for name, stored in manifest.pictures.items() if stored.shown])

    def picture(self, manifest: Manifest, file_name: str) -> Picture | None:
        """One picture of a stored result, shown or not; None where it was never stored, is gone or damaged.

        Raises:
            StoreError: The file can't be read.
        """
        found = self._pictures(manifest, [file_name] if file_name in manifest.pictures else [])
        return found[0] if found else None

    def path(self, asset: str, key: str) -> UPath:
        """The directory of this asset and key, whether or not anything is stored there."""
        return self.root.joinpath(checked_asset(asset), *escape_key(key).split("/"))

    def delete(self, asset: str, key: str) -> None:
        """Remove what is stored for this asset and key, whole or not; results of keys below it stay.

        Raises:
            StoreError: The files can't be removed.
        """
        directory = self._directory(asset, key)
        with reported("removed", directory):
            self._files.clear(directory, MANIFEST_NAME)

    def move_to_trash(self, asset: str, key: str) -> bool:
        """Move what is stored for this asset and key to ``<root>/trash``, which ``Store(root / TRASH)`` reads.

        An older result of that key there is replaced. The result is whole in one of the two places at any moment.

        Returns:
            Whether something whole was there to move.

        Raises:
            StoreError: The files can't be moved.
        """
        manifest = self.manifest(asset, key)
        if manifest is not None:
            files, _ = load_files(self._files, self._directory(asset, key), manifest)
            files |= {picture.file_name: picture.data for picture in self._pictures(manifest, list(manifest.pictures))}
            trash = Store(self.root / TRASH)
            with reported("written", trash._base):
                trash._commit(manifest, files)
        self.delete(asset, key)
        return manifest is not None

    def keys(self, asset: str) -> Iterator[str]:
        """The partition keys with a whole result of this asset; reads one manifest for each.

        Raises:
            StoreError: The store can't be read.
        """
        for escaped in self.identities(asset):
            manifest = self.manifest_in(asset, escaped)
            if manifest is not None:
                yield manifest.partition_key

    def identities(self, asset: str) -> dict[str, str]:
        """What is stored of this asset, without reading it: for each directory below the asset's the `identity`.

        Raises:
            StoreError: The store can't be read.
        """
        directory = f"{self._base}/{checked_asset(asset)}"
        with reported("listed", directory):
            return dict(self._files.find(directory, MANIFEST_NAME))

    def identity(self, asset: str, key: str) -> str | None:
        """Another string for each result that was ever whole under this asset and key; None when none is.

        Raises:
            StoreError: The store can't be read, which says nothing about the result.
        """
        path = f"{self._directory(asset, key)}/{MANIFEST_NAME}"
        with reported("read", path), suppress(FileNotFoundError, NotADirectoryError):
            return self._files.identity(path)
        return None

    def manifest_in(self, asset: str, escaped: str) -> Manifest | None:
        """What is stored in a directory that `identities` names; None when nothing whole is.

        Raises:
            StoreError: The store can't be read, which says nothing about the result.
        """
        path = f"{self._base}/{checked_asset(asset)}/{escaped}/{MANIFEST_NAME}"
        try:
            manifest = Manifest.from_json(read_if_there(self._files, path) or b"")
        except ValueError:
            return None
        is_its_own = manifest.asset == asset and escape_key(manifest.partition_key) == escaped
        return manifest if is_its_own else None

    def rows(self, manifest: Manifest, field: str, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        """Some rows of a stored array, read alone where the format allows it, without comparing digests.

        Args:
            manifest: Of the result; compare its identity afterwards to know that the rows are its own.
            field: The record's field, an array of one dimension or more.
            spans: First row, and the row after the last one, of each piece.

        Raises:
            ResultMissingError: The file is gone.
            ResultCorruptError: The file isn't as long as the manifest says.
            StoreError: The file can't be read.
        """
        return some_rows(self._files, self._directory(manifest.asset, manifest.partition_key), manifest, field, spans)

    def arrays(self, manifest: Manifest, fields: Sequence[str]) -> dict[str, np.ndarray]:
        """Some of a stored result's arrays by field, their digests compared; large local ones are mapped, not read.

        Args:
            manifest: Of the result.
            fields: Of its record, arrays of one dimension or more.

        Raises:
            ResultMissingError: A file is gone.
            ResultCorruptError: A file's bytes aren't those that the manifest tells.
            StoreError: A file can't be read.
        """
        return whole_arrays(self._files, self._directory(manifest.asset, manifest.partition_key), manifest, fields)

    def _pictures(self, manifest: Manifest, names: Sequence[str]) -> list[Picture]:
        directory = self._directory(manifest.asset, manifest.partition_key)
        return load_pictures(self._files, directory, manifest, names)

    def _directory(self, asset: str, key: str) -> str:
        return f"{self._base}/{checked_asset(asset)}/{escape_key(key)}"

    def _commit(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        """Put a result in place of what is stored under its key."""

        def older() -> list[str]:
            before = self.manifest(manifest.asset, manifest.partition_key)
            return [*before.files, *before.pictures, MANIFEST_NAME] if before else []

        directory = self._directory(manifest.asset, manifest.partition_key)
        self._files.commit(directory, {**files, MANIFEST_NAME: manifest.to_json()}, older)
