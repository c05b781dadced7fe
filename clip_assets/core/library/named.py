"""Videos and folders as a person names them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clip_assets.core.errors import PartitionKeyError
from clip_assets.core.file_systems import is_url
from clip_assets.core.library.keys import is_under
from clip_assets.core.library.source import VideoSource


@dataclass(frozen=True)
class Named:
    """A video or a folder, as a person names it.

    Attributes:
        text: What was written: perhaps a partition key, or the beginning of some.
        path: What it is as a path; of no meaning where the text is a URL.
    """

    text: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> "Named":
        """Of a word as it was written, before the working directory is left."""
        return cls(text, Path(text).absolute())

    def is_at(self, location: str) -> bool:
        """Whether it is that path or URL."""
        if is_url(self.text) or is_url(location):
            return self.text.rstrip("/") == location
        return self.path.resolve() == Path(location).resolve()


def registered_keys(source: VideoSource, named: Named, order: Sequence[str]) -> list[str]:
    """The registered keys that are meant: the one of that name, or those at and below that folder; perhaps none.

    Args:
        source: The library.
        named: A partition key, a folder of the library, or a path of one of these, which needn't exist.
        order: The registered keys.
    """
    if not named.text:
        return []
    if named.text in order:
        return [named.text]
    if named.is_at(source.where()):
        return list(order)
    names = [named.text.rstrip("/")]
    with suppress(PartitionKeyError):
        names.append(source.key_for(named.text if is_url(named.text) else named.path))
    below = ([key for key in order if name and is_under(key, name)] for name in names)
    return next((keys for keys in below if keys), [])
