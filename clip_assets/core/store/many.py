"""Looks at very many results: as few requests as can be, as many at once as the store takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from clip_assets.core.store.files import Files
from clip_assets.core.store.keys import escape_key
from clip_assets.core.store.loading import parse_manifest
from clip_assets.core.store.manifest import MANIFEST_NAME, Manifest
from clip_assets.core.store.refusals import checked_asset, reported


@dataclass(frozen=True)
class Many:
    """The results of a store.

    Attributes:
        files: Where they are.
        base: The path that they are below.
    """

    files: Files
    base: str

    def identities(self, assets: Sequence[str], keys: Sequence[str]) -> Iterator[tuple[str | None, ...]]:
        """For each of these keys the `Store.identity` of each asset; where the store isn't local by listing each asset.

        Raises:
            StoreError: The store can't be read.
        """
        escaped = [escape_key(key) for key in keys]
        directories = [f"{self.base}/{checked_asset(asset)}" for asset in assets]
        with reported("listed", self.base):
            yield from zip(*self.files.identities(directories, escaped, MANIFEST_NAME), strict=True)

    def manifests(self, asked: Sequence[tuple[str, str]]) -> Iterator[Manifest | None]:
        """What `Store.manifest` gives for each of these assets and keys: read at once, and made one after the other.

        Raises:
            StoreError: The store can't be read.
        """
        paths = [f"{self.base}/{checked_asset(asset)}/{escape_key(key)}/{MANIFEST_NAME}" for asset, key in asked]
        with reported("read", self.base):
            texts = self.files.read_all(paths)
        return (_own(text, asset, key) for text, (asset, key) in zip(texts, asked, strict=True))


def _own(data: bytes | None, asset: str, key: str) -> Manifest | None:
    """The manifest that these bytes are, if they are one of this asset and key."""
    with suppress(ValueError):
        return parse_manifest(data, asset, key)
    return None
