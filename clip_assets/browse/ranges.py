"""Videos that lie elsewhere, passed on to the browser a range at a time (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from clip_assets.browse.playing import Original

BLOCK_BYTES = 2 * 2**20
"""Bytes of one answer to a range without an end: players then ask for the next ones as they play."""

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def ranged(original: Original, asked: str) -> Response:
    """A part of a video, or all of it where no one range is asked for.

    Args:
        original: The video.
        asked: The header ``Range``; empty where there is none.

    Raises:
        VideoError: It can't be read.
    """
    size = original.stat.size
    headers = {"Accept-Ranges": "bytes"}
    match = _ONE_RANGE.fullmatch(asked)
    if match is None or match[0] == "bytes=-":
        headers["Content-Length"] = str(size)
        return StreamingResponse(_blocks(original), headers=headers, media_type=original.media_type)
    first, last = match.groups()
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) + 1 if first and last else size, start + BLOCK_BYTES, size)
    if start >= end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Response(original.read(start, end), 206, headers, original.media_type)


def _blocks(original: Original) -> Iterator[bytes]:
    size = original.stat.size
    return (original.read(start, min(start + BLOCK_BYTES, size)) for start in range(0, size, BLOCK_BYTES))
