"""Pictures that were uploaded to look for, in memory for as long as there is room."""

from __future__ import annotations

import hashlib
import io

from clip_assets.browse.guard import MAX_UPLOAD_BYTES
from clip_assets.browse.pictures import ByteCache
from clip_assets.core.errors import QueryError
from clip_assets.core.search.encoding import read_picture

MAX_PIXELS = 50_000_000
_CACHE_BYTES = 64 * 2**20
_SHOWN_SIDE = 320


class Uploads:
    """Pictures by the names that questions have for them."""

    def __init__(self) -> None:
        self._originals = ByteCache(_CACHE_BYTES)

    def add(self, data: bytes) -> str:
        """Remember a picture; the name that it gets.

        Raises:
            QueryError: It is none, or too large.
        """
        if len(data) > MAX_UPLOAD_BYTES:
            raise QueryError(f"The picture has {len(data):,} bytes; at most {MAX_UPLOAD_BYTES:,} are read.")
        read_picture(data, MAX_PIXELS)
        name = hashlib.sha256(data).hexdigest()[:32]
        self._originals.put(name, data)
        return name

    def get(self, name: str) -> bytes:
        """The picture of that name.

        Raises:
            QueryError: There is none any more.
        """
        found = self._originals.get(name)
        if found is None:
            raise QueryError("The picture to look for isn't there any more. Upload it again.")
        return found

    def shown(self, name: str) -> bytes:
        """The picture of that name, small, as JPEG; raises as `get` does."""
        from PIL import Image

        picture = Image.fromarray(read_picture(self.get(name), MAX_PIXELS))
        picture.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG")
        return buffer.getvalue()
