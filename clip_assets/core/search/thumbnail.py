"""A moment's picture: of those that are stored beside the features, else of the video itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.pictures.kept import SHEET_NAME, kept_frames
from clip_assets.core.pictures.sheets import thumbnails
from clip_assets.core.search.ask import StoredRows
from clip_assets.core.video import probe

if TYPE_CHECKING:
    from PIL.Image import Image

    from clip_assets.core.library.source import VideoSource
    from clip_assets.core.search.search import Found
    from clip_assets.core.store import Store
    from clip_assets.core.store.manifest import Manifest


def thumbnail_of(found: Found, store: Store, videos: VideoSource) -> Image:
    """A small picture of a moment: the stored one nearest to its best row, if one lies in it, else decoded.

    Raises:
        StoreError: What is stored can't be read.
        VideoError: No picture is stored, and the video can't be read.
    """
    manifest = StoredRows(store).manifest(found.video)
    (indices,) = store.rows(manifest, "indices", [(found.first_row, found.last_row + 1)])
    best = int(indices[found.best_row - found.first_row])
    if kept := kept_picture(store, manifest, indices.tolist(), best):
        return kept
    with videos.local(found.video.key) as path:
        made = thumbnails(probe(path), np.array([best]))
    if best in made:
        return made[best]
    raise VideoUnreadableError(f"Frame {best} of {found.video.key} doesn't decode.")


def kept_picture(store: Store, features: Manifest, indices: Collection[int], best: int) -> Image | None:
    """The kept picture of one of these frames that is nearest to the best one; None where none of them is kept.

    Args:
        store: Where the features are.
        features: Their manifest.
        indices: Frames that would do, 0-based in presentation order of the source.
        best: The frame that is wanted.

    Raises:
        StoreError: What is stored can't be read.
    """
    sheet = store.picture(features, SHEET_NAME)
    kept = kept_frames(sheet) if sheet else {}
    usable = [index for index in indices if index in kept]
    return kept[min(usable, key=lambda index: abs(index - best))] if usable else None
