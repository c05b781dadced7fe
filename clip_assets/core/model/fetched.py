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
    if not is_url(str(location)):
        return Path(location).absolute()
    url = str(location)
    folder = user_cache_folder() / "weights"
    path = folder / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-{PurePosixPath(url.partition('?')[0]).name}"
    if path.exists():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                _fetch(url, path)
    except (OSError, SettingsError) as error:
        raise ModelError(f"The weights {url} can't be fetched: {error}") from error
    return path


def _fetch(url: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as temporary:
        part = Path(temporary) / path.name
        file_system(url).get_file(url, str(part))
        part.replace(path)
