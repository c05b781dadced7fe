"""The folder of an export: its files, a record of each, a card, and what it is an export of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clip_assets.core.digests import sha256
from clip_assets.core.errors import ExportFolderError
from clip_assets.core.export.shards import ShardRecord, is_shard_name

_TEMPORARY = ".tmp"


class ExportFolder:
    """A folder that holds an export, or will.

    ``data/`` has the files and nothing else, so that whatever reads a folder of such files reads it. ``shards/`` has
    the record of each: removed before its file is replaced, and written after it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = path / "data"
        self._records = path / "shards"
        self._about = path / "export.json"
        self._card = path / "README.md"

    @contextmanager
    def held(self, kind: Mapping[str, str]) -> Iterator[None]:
        """Make the folder, or take one of the same kind, and hold it against other exports.

        Raises:
            ExportFolderError: It holds something else, or another export is being written to it.
            OSError: It can't be written.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        self._claim(kind)
        lock = FileLock(self._path / ".lock", blocking=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise ExportFolderError(f"Another export is being written to {self._path}.") from error
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def records(self) -> dict[str, ShardRecord]:
        """What is recorded of the files, by name, in order."""
        found = (ShardRecord.read(path) for path in sorted(self._records.glob("*.json")))
        return {record.name: record for record in found if record}

    def holds(self, record: ShardRecord | None, digest: str) -> bool:
        """Whether a file is there as it was recorded, with this content."""
        if record is None or record.digest != digest:
            return False
        path = self._data / record.name
        return path.is_file() and path.stat().st_size == record.size

    @contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """Where to write a file; `put` it, else nothing is left of it. From now on there is no record of that name."""
        self._record(name).unlink(missing_ok=True)
        temporary = self._data / f".{name}{_TEMPORARY}"
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def put(self, written: Path, record: ShardRecord) -> None:
        """Let a complete file take its place, and record it."""
        written.replace(self._data / record.name)
        _replace(self._record(record.name), record.to_json())

    def remove(self, name: str) -> None:
        """Remove a file and its record."""
        self._record(name).unlink(missing_ok=True)
        (self._data / name).unlink(missing_ok=True)

    def tell(self, card: str, about: Mapping[str, Any]) -> None:
        """Say to people and to programs what it holds; a card that was edited stays."""
        written, before = card.encode(), json.loads(self._about.read_bytes()).get("card", "")
        if not self._card.exists() or sha256(self._card.read_bytes()) == before:
            _replace(self._card, written)
            before = sha256(written)
        _replace(self._about, _json({**about, "card": before}))

    def _claim(self, kind: Mapping[str, str]) -> None:
        """Refuse a folder that holds something else; make an empty one that of an export."""
        try:
            there = dict(json.loads(self._about.read_bytes()))
        except FileNotFoundError:
            if any(not path.name.startswith(".") for path in self._path.iterdir()):
                raise ExportFolderError(f"{self._path} isn't empty, and holds no export.") from None
            there = dict(kind)
            _replace(self._about, _json(there))
        except (ValueError, TypeError) as error:
            raise ExportFolderError(f"{self._about} isn't what an export writes: {error}.") from error
        if kind.items() - there.items():
            held = f"{there.get('what')} as {there.get('format')}"
            raise ExportFolderError(f"{self._path} holds {held}, which isn't what is asked for.")
        self._data.mkdir(exist_ok=True)
        self._records.mkdir(exist_ok=True)

    def _sweep(self) -> None:
        """Remove what an export that was killed left: files that aren't complete, or have no record."""
        known = self.records()
        for path in self._data.iterdir():
            name = path.name.removeprefix(".").removesuffix(_TEMPORARY)
            if is_shard_name(name) and path.name not in known:
                path.unlink()

    def _record(self, name: str) -> Path:
        return self._records / f"{name}.json"


def _json(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, indent=1, ensure_ascii=False).encode()


def _replace(path: Path, data: bytes) -> None:
    """Put a small file in place of another at once."""
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    temporary.write_bytes(data)
    temporary.replace(path)
