"""File systems by URL, through fsspec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ClipAssetsError, SettingsError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from upath import UPath

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
"""By protocol the extra of this package that brings what reaches it."""


# What file systems call what tells one content from another, and when it came.
_ETAGS = ("generation", "ETag", "etag", "md5Hash", "content_md5", "Content-MD5")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created", "Last-Modified")


def is_url(location: str) -> bool:
    """Whether a location is a URL rather than a path."""
    return "://" in location


def file_system(url: str | UPath, **options: Any) -> AbstractFileSystem:
    """The file system of a URL; the same one each time, as fsspec keeps them.

    Args:
        url: Where something lies.
        options: What the file system is to be made with.

    Raises:
        SettingsError: The package that reaches it isn't installed, or nobody knows such a URL.
    """
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url, **options)[0] if isinstance(url, str) else url.fs
    except (ImportError, ValueError) as error:
        extra = _EXTRAS.get(str(url).partition("://")[0])
        advice = f" Install it with: pip install 'clip_assets[{extra}]'" if extra else ""
        raise SettingsError(f"{url} can't be reached: {error}.{advice}") from error


@contextmanager
def reached() -> Iterator[None]:
    """Let what a file system raises, each its own where a server can't be asked, be an OSError as a disk's are."""
    try:
        yield
    except (OSError, ClipAssetsError):
        raise
    except Exception as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


def has_buckets(filesystem: AbstractFileSystem) -> bool:
    """Whether it is an object store, which has no folders, and whose buckets somebody makes who may."""
    protocols = filesystem.protocol
    return any(name in _EXTRAS for name in ([protocols] if isinstance(protocols, str) else protocols))


def version_of(info: Mapping[str, Any]) -> tuple[str, int]:
    """What tells a file's content from another, by its description by a file system.

    Returns:
        The ETag, digest or generation, without quotes, and 0; or, where there is none, the empty word and the time of
        the last modification in nanoseconds since 1970. A time that is a word counts as an ETag.
    """
    if etag := next((str(info[name]) for name in _ETAGS if info.get(name)), ""):
        return etag.removeprefix("W/").strip('"'), 0
    told = next((info[name] for name in _TIMES if info.get(name)), "")
    if isinstance(told, datetime):
        told = told.timestamp()
    return ("", round(told * 1e9)) if isinstance(told, int | float) else (str(told), 0)
