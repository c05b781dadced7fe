"""What the store refuses, and what the file system refuses it, as errors of the store."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from clip_assets.core.errors import ResultCorruptError, ResultUnwritableError, SettingsError, StoreError

TRASH = "trash"
"""The folder of what was moved away, which no asset may be called."""


def checked_asset(asset: str) -> str:
    """The name of an asset, if it may be that of a folder."""
    if not re.fullmatch(r"[A-Za-z0-9_]+", asset) or asset.lower() == TRASH:
        raise SettingsError(
            f"The asset's name is {asset!r}, allowed are letters, digits and underscores, except {TRASH!r}."
        )
    return asset


def plain_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as they will be read back from the manifest."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(parameters), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"The parameters to store are {dict(parameters)!r:.200}, allowed are plain JSON values: {error}."
        ) from error
    return plain


def damaged(asset: str, key: str, where: object, problems: Sequence[str]) -> ResultCorruptError:
    """The error of a result whose bytes aren't those that were stored."""
    return ResultCorruptError(f"The result of {asset} for {key!r} in {where} is damaged: {'; '.join(problems)}.")


@contextmanager
def reported(action: str, path: str) -> Iterator[None]:
    """Errors of the file system as errors of the store that name the path."""
    try:
        yield
    except OSError as error:
        if action == "written":
            raise ResultUnwritableError(f"{path} can't be written: {error.strerror or error}.") from error
        raise StoreError(f"{path} can't be {action}: {error}.") from error


def is_out_of_room(error: Exception) -> bool:
    """Whether a result couldn't be written since nothing can be: the disk or a quota is full, or it is read-only."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
