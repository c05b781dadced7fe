"""A moment's picture: of those that are stored beside the features, else of the video itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.library.listing import path_for
from clip_assets.core.pictures.kept import kept_picture
from clip_assets.core.pictures.sheets import thumbnails
from clip_assets.core.search.ask import StoredRows
from clip_assets.core.video import probe

if TYPE_CHECKING:
    from PIL.Image import Image

    from clip_assets.core.search.search import Found
    from clip_assets.core.store import Store


def thumbnail_of(found: Found, store: Store, videos: Path) -> Image:
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
    made = thumbnails(probe(path_for(videos, found.video.key)), np.array([best]))
    if best in made:
        return made[best]
    raise VideoUnreadableError(f"Frame {best} of {found.video.key} doesn't decode.")
