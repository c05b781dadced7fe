"""One picture that is stored beside a result."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from clip_assets.core.errors import SettingsError

PICTURE_SUFFIXES = (".jpg", ".png")

_MEDIA_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}

MAX_PICTURE_BYTES = 100_000
"""Of one picture that is shown; as text it is a third longer, and a result shows at most two."""


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        file_name: An identifier and ``.jpg`` or ``.png``.
        data: The file's bytes.
        alt: What it shows, in words, for those who can't see it.
        shown: Whether people look at it; else it is only kept, for later steps.
    """

    file_name: str
    data: bytes
    alt: str
    shown: bool = True

    def __post_init__(self) -> None:
        if not is_picture_name(self.file_name):
            raise SettingsError(
                f"The picture's name is {self.file_name!r}, allowed is an identifier with "
                f"{' or '.join(PICTURE_SUFFIXES)} at its end."
            )

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.file_name.rpartition(".")[0]

    @property
    def data_url(self) -> str:
        """The picture itself as a URL."""
        suffix = self.file_name[-4:]
        return f"data:{_MEDIA_TYPES[suffix]};base64,{base64.b64encode(self.data).decode('ascii')}"


def is_picture_name(name: str) -> bool:
    """Whether a file of this name may hold a picture: an identifier and a known ending."""
    return name.endswith(PICTURE_SUFFIXES) and name.rpartition(".")[0].isidentifier()
