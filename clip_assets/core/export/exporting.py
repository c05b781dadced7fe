"""Write a table into a folder, a file after another; what is there as it should be stays."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from clip_assets.core.digests import digest
from clip_assets.core.errors import ResultCorruptError, ResultMissingError
from clip_assets.core.export.card import card_of
from clip_assets.core.export.folder import ExportFolder
from clip_assets.core.export.formats import FORMATS, Format, FormatName, check_installed
from clip_assets.core.export.shards import SHARD_BYTES, Shard, ShardRecord, content_digest, planned_shards
from clip_assets.core.export.table import Part, Table
from clip_assets.core.store.refusals import reported

Progress = Callable[[Sequence[Part]], None]


@dataclass(frozen=True)
class Exported:
    """What a folder holds after an export.

    Attributes:
        written: Files that were written.
        kept: Files that were there as they should be.
        videos: How many have a part in them; of moments none has.
        rows: In all files.
        size: Bytes of all files.
        digest: Of all that the files' content depends on.
        unreadable: For each video that was to be in them and couldn't be read, why.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    videos: int
    rows: int
    size: int
    digest: str
    unreadable: Mapping[str, str]


def export(
    table: Table,
    format_name: FormatName,
    folder: Path,
    progress: Progress | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Exported:
    """Let a folder hold a table. Killed at any moment, what is complete is kept by the next export.

    Args:
        table: Of what.
        format_name: Of its files.
        folder: Made if it isn't there; else empty, or one that holds an export of the same kind.
        progress: Told of the videos whose rows are in a file, whenever one is complete.
        shard_bytes: Of numbers in a file, before they are packed.

    Raises:
        ExportError: The format's library isn't installed.
        ExportFolderError: The folder holds something else, or another export writes to it.
        ResultUnwritableError: The folder can't be written.
        StoreError: What is stored can't be read.
    """
    form, place = FORMATS[format_name], ExportFolder(folder)
    check_installed(format_name, form.library)
    kind = {"format": format_name, "what": table.what}
    with reported("written", str(folder)), place.held(kind):
        known = place.records()
        shards = planned_shards(table, form, list(known.values()), shard_bytes)
        kept = {s.name for s in shards if place.holds(known.get(s.name), content_digest(table, form, s.parts))}
        records: list[ShardRecord] = []
        unreadable: dict[str, str] = {}
        for shard in shards:
            if shard.name in kept:
                records.append(known[shard.name])
            elif record := _write_shard(shard, table, form, place, unreadable):
                records.append(record)
            if progress:
                progress(shard.parts)
        for name in known.keys() - {record.name for record in records}:
            place.remove(name)
        exported = _exported(records, kept, unreadable)
        totals = {"videos": exported.videos, "rows": exported.rows, "bytes": exported.size, "digest": exported.digest}
        card = card_of(table, format_name, exported.videos, exported.rows, exported.size)
        place.tell(card, {**kind, **table.about, **totals})
    return exported


def is_current(table: Table, format_name: FormatName, folder: Path) -> bool:
    """Whether a folder holds this table, as far as its own records tell: no rows are read."""
    form, place = FORMATS[format_name], ExportFolder(folder)
    known = place.records()
    shards = {shard.name: shard for shard in planned_shards(table, form, list(known.values()))}
    return shards.keys() == known.keys() and all(
        place.holds(known[name], content_digest(table, form, shard.parts)) for name, shard in shards.items()
    )


def _exported(records: Sequence[ShardRecord], kept: Container[str], unreadable: Mapping[str, str]) -> Exported:
    """What files come to."""
    return Exported(
        written=tuple(record.name for record in records if record.name not in kept),
        kept=tuple(record.name for record in records if record.name in kept),
        videos=sum(key != "" for record in records for key in record.videos),
        rows=sum(record.rows for record in records),
        size=sum(record.size for record in records),
        digest=digest({"files": {record.name: record.digest for record in records}}),
        unreadable=unreadable,
    )


def _write_shard(
    shard: Shard, table: Table, form: Format, place: ExportFolder, unreadable: dict[str, str]
) -> ShardRecord | None:
    """Write a file, then its record; None where none of its videos can be read."""
    parts = list(shard.parts)
    with place.new_file(shard.name) as path:
        while failed := _write_rows(path, table, form, parts):  # begun again, for a file tells what it holds
            part, error = failed
            unreadable[part.key] = str(error)
            parts.remove(part)
        if not parts:
            return None
        record = ShardRecord(
            shard.name,
            content_digest(table, form, parts),
            rows=sum(part.rows for part in parts),
            size=path.stat().st_size,
            videos={part.key: part.data_version for part in parts},
        )
        place.put(path, record)
    return record


def _write_rows(
    path: Path, table: Table, form: Format, parts: Sequence[Part]
) -> tuple[Part, ResultMissingError | ResultCorruptError] | None:
    """Write the rows of these parts; the first that can't be read, and why, else None."""
    with closing(form.open(path, replace(table, parts=tuple(parts)))) as writer:
        for part in parts:
            try:
                batches = table.read(part)
            except (ResultMissingError, ResultCorruptError) as error:
                return part, error
            for batch in batches:
                writer.write(batch)
    return None
