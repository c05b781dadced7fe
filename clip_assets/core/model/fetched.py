"""Weights that lie at a URL: fetched once a host, into the user's cache folder."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path, PurePosixPath

from filelock import FileLock

from clip_assets.core.errors import ModelError, SettingsError
from clip_assets.core.file_systems import file_system, is_url
from clip_assets.core.user_cache import user_cache_folder


def local_weights(location: str | Path) -> Path:
    """The file with the weights at a location, absolute; those at a URL are fetched if they never were.

    They appear whole or not at all, and are never asked for again: other weights need another URL.

    Args:
        location: A file, or any URL that fsspec reaches.

    Raises:
        ModelError: They can't be fetched.
    """
    path, url = path_of(location), str(location)
    if path.exists() or not is_url(url):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                _fetch(url, path)
    except (OSError, SettingsError) as error:
        raise ModelError(f"The weights {url} can't be fetched: {error}") from error
    return path


def path_of(location: str | Path) -> Path:
    """Where `local_weights` has the file at a location, whether or not it is there yet."""
    url = str(location)
    if not is_url(url):
        return Path(location).absolute()
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{PurePosixPath(url.partition('?')[0]).name}"
    return user_cache_folder() / "weights" / name


def _fetch(url: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as temporary:
        part = Path(temporary) / path.name
        file_system(url).get_file(url, str(part))
        part.replace(path)
