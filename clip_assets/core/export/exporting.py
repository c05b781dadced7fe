"""Write a table into a folder, a file after another; what is there as it should be stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from clip_assets.core.digests import digest
from clip_assets.core.errors import ExportFolderError, ResultCorruptError, ResultMissingError
from clip_assets.core.export.card import CARD, card_of
from clip_assets.core.export.formats import FORMATS, Format, FormatName, check_installed
from clip_assets.core.export.shards import SHARD_BYTES, Shard, ShardRecord, content_digest, planned_shards
from clip_assets.core.export.table import Part, Table
from clip_assets.core.store.checks import reported, sha256

ABOUT = "export.json"
"""The file that says what a folder is an export of."""

RECORDS = "shards"
"""The folder of the records, one for each file."""

_TEMPORARY = ".tmp"

Progress = Callable[[Sequence[Part]], None]


@dataclass
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

    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    videos: int = 0
    rows: int = 0
    size: int = 0
    digest: str = ""
    unreadable: dict[str, str] = field(default_factory=dict)


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
    form = FORMATS[format_name]
    check_installed(format_name, form.library)
    with reported("written", str(folder)), _held(folder):
        _claim(folder, _kind(format_name, table))
        known = stored_records(folder)
        shards = planned_shards(table, form, list(known.values()), shard_bytes)
        exported, records = Exported(), []
        for shard in shards:
            record = known.get(shard.name)
            if record and record.is_of(content_digest(table, form, shard.parts), folder):
                exported.kept.append(shard.name)
            elif record := _write_shard(shard, table, form, folder, exported.unreadable):
                exported.written.append(shard.name)
            if record:
                records.append(record)
            if progress:
                progress(shard.parts)
        for name in known.keys() - {record.name for record in records}:
            _remove(folder, name)
        for record in records:
            exported.videos += sum(key != "" for key in record.videos)
            exported.rows += record.rows
            exported.size += record.size
        exported.digest = digest({"files": {record.name: record.digest for record in records}})
        _tell(folder, table, format_name, exported)
    return exported


def is_current(table: Table, format_name: FormatName, folder: Path) -> bool:
    """Whether a folder holds this table, as far as its own records tell: no rows are read."""
    known, form = stored_records(folder), FORMATS[format_name]
    shards = {shard.name: shard for shard in planned_shards(table, form, list(known.values()))}
    return shards.keys() == known.keys() and all(
        known[name].is_of(content_digest(table, form, shard.parts), folder) for name, shard in shards.items()
    )


def stored_records(folder: Path) -> dict[str, ShardRecord]:
    """What is recorded of the files of a folder, by name, in order."""
    found = (ShardRecord.read(path) for path in sorted((folder / RECORDS).glob("*.json")))
    return {record.name: record for record in found if record}


def _write_shard(
    shard: Shard, table: Table, form: Format, folder: Path, unreadable: dict[str, str]
) -> ShardRecord | None:
    """Write a file, then its record; None where none of its videos can be read."""
    _record_path(folder, shard.name).unlink(missing_ok=True)
    temporary = folder / f".{shard.name}{_TEMPORARY}"
    parts = list(shard.parts)
    try:
        while failed := _write_rows(temporary, table, form, parts):  # begun again, for a file tells what it holds
            part, error = failed
            unreadable[part.key] = str(error)
            parts.remove(part)
        if not parts:
            return None
        temporary.replace(folder / shard.name)
    finally:
        temporary.unlink(missing_ok=True)
    record = ShardRecord(
        shard.name,
        content_digest(table, form, parts),
        rows=sum(part.rows for part in parts),
        size=(folder / shard.name).stat().st_size,
        videos={part.key: part.data_version for part in parts},
    )
    _replace(_record_path(folder, shard.name), record.to_json())
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


def _tell(folder: Path, table: Table, format_name: FormatName, exported: Exported) -> None:
    """Write what the folder holds, for people and for programs; a card that was edited stays."""
    about = folder / ABOUT
    before = json.loads(about.read_bytes()).get("card", "")
    card = card_of(table, format_name, exported.videos, exported.rows, exported.size).encode()
    path = folder / CARD
    if not path.exists() or sha256(path.read_bytes()) == before:
        _replace(path, card)
        before = sha256(card)
    totals = {"videos": exported.videos, "rows": exported.rows, "bytes": exported.size, "digest": exported.digest}
    told = {**_kind(format_name, table), **table.about, **totals, "card": before}
    _replace(about, json.dumps(told, indent=1, ensure_ascii=False).encode())


def _kind(format_name: FormatName, table: Table) -> dict[str, str]:
    """What two exports into one folder must have in common."""
    return {"format": format_name, "what": table.what}


def _claim(folder: Path, kind: Mapping[str, str]) -> None:
    """Refuse a folder that holds something else; make an empty one that of an export."""
    try:
        there = dict(json.loads((folder / ABOUT).read_bytes()))
    except FileNotFoundError:
        if any(not path.name.startswith(".") for path in folder.iterdir()):
            raise ExportFolderError(f"{folder} isn't empty, and holds no export.") from None
        _replace(folder / ABOUT, json.dumps(kind).encode())
        return
    except (ValueError, TypeError) as error:
        raise ExportFolderError(f"{folder / ABOUT} isn't what an export writes: {error}.") from error
    if kind.items() - there.items():
        raise ExportFolderError(f"{folder} holds {there.get('what')} as {there.get('format')}, not what is asked for.")


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make the folder, hold it against other exports, and remove what killed ones left half-written."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise ExportFolderError(f"Another export is being written to {folder}.") from error
    try:
        for left in folder.glob(f".*{_TEMPORARY}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _record_path(folder: Path, name: str) -> Path:
    return folder / RECORDS / f"{name}.json"


def _remove(folder: Path, name: str) -> None:
    _record_path(folder, name).unlink(missing_ok=True)
    (folder / name).unlink(missing_ok=True)


def _replace(path: Path, data: bytes) -> None:
    """Put a small file in place of another at once."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    temporary.write_bytes(data)
    temporary.replace(path)
