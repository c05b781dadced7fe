"""Which videos lie in which file of an export, so that a change touches few files; what is recorded of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from clip_assets.core.digests import digest
from clip_assets.core.export.formats import Format
from clip_assets.core.export.table import Part, Table

SHARD_BYTES = 512 * 1024 * 1024
"""Of numbers in a file, before they are packed; a video is never divided."""

_NAME = re.compile(r"[a-z]+-(\d{5,})\.[a-z0-9]+")


@dataclass(frozen=True)
class Shard:
    """A file as it should be.

    Attributes:
        name: Of the file.
        parts: What it holds, in order.
    """

    name: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class ShardRecord:
    """What was recorded of a file, after it was complete.

    Attributes:
        name: Of the file.
        digest: Of all that its content depends on, see `content_digest`.
        rows: How many it holds.
        size: Bytes.
        videos: For each video in it, in order, the data version of its result.
    """

    name: str
    digest: str
    rows: int
    size: int
    videos: Mapping[str, str]

    def to_json(self) -> bytes:
        """As it is kept."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()

    @classmethod
    def read(cls, path: Path) -> ShardRecord | None:
        """What is kept in ``<name>.json``; None where that isn't a whole record."""
        with suppress(ValueError, TypeError):
            record = cls(**json.loads(path.read_bytes()))
            if f"{record.name}.json" == path.name and is_shard_name(record.name):
                return record
        return None


def is_shard_name(name: str) -> bool:
    """Whether a file's name is one that `planned_shards` gives."""
    return _NAME.fullmatch(name) is not None


def planned_shards(
    table: Table, form: Format, known: Sequence[ShardRecord], shard_bytes: int = SHARD_BYTES
) -> list[Shard]:
    """The files of a table. A video stays in its file; new ones come into the last one, or into new ones.

    Args:
        table: Of what.
        form: The files' format.
        known: What was recorded, in order of names.
        shard_bytes: Of numbers in a file.
    """
    room = max(1, shard_bytes // max(1, table.row_bytes))
    left = {part.key: part for part in table.parts}
    placed: dict[int, list[Part]] = {}
    for record in known:
        number = _number(record.name)
        placed[number] = _fitting((left[key] for key in record.videos if key in left), 2 * room)
        for part in placed[number]:
            del left[part.key]
    number = max(placed, default=0)
    rows = sum(part.rows for part in placed.setdefault(number, []))
    for part in left.values():
        if placed[number] and rows + part.rows > room:
            number, rows = number + 1, 0
            placed[number] = []
        placed[number].append(part)
        rows += part.rows
    names = {number: f"{table.what}-{number:05d}.{form.suffix}" for number in placed}
    return [Shard(names[number], tuple(parts)) for number, parts in sorted(placed.items()) if parts]


def content_digest(table: Table, form: Format, parts: Iterable[Part]) -> str:
    """Of all that the content of a file depends on that holds these parts of a table."""
    return digest(
        {
            "format": [form.suffix, form.version],
            "columns": [asdict(column) for column in table.columns],
            "about": dict(table.about),
            "parts": [[part.key, part.data_version, part.digest] for part in parts],
        }
    )


def _fitting(parts: Iterable[Part], rows: int) -> list[Part]:
    """The first parts that have so many rows together, or the first one."""
    fitting: list[Part] = []
    for part in parts:
        rows -= part.rows
        if fitting and rows < 0:
            break
        fitting.append(part)
    return fitting


def _number(name: str) -> int:
    return int(name.rpartition("-")[2].partition(".")[0])
