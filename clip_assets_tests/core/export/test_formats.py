"""Each format, read by the library that its users read it with, holds what is stored, to the last bit."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset

from clip_assets.core.export.exporting import export
from clip_assets.core.export.formats import FORMATS
from clip_assets.core.export.table import KEY, Batch, Column, Part, Table

KEYS = ("a.mp4", 'b.old/ä, "ö".mp4')
ROWS = 5
COLUMNS = (
    KEY,
    Column("row", "int64", "place"),
    Column("timestamp_ms", "float64", "ms"),
    Column("clip", "float32", "feature", 3),
    Column("half", "float16", "half", 2, ("a dog", "a cat, or two")),
)
Read = dict[str, list[Any]]


def rows_of(key: str) -> Batch:
    random = np.random.default_rng(list(key.encode()))
    clip = random.standard_normal((ROWS, 3)).astype(np.float32)
    clip[0] = [np.nan, np.inf, 1e-42]
    half = random.standard_normal((ROWS, 2)).astype(np.float16)
    return {
        "key": [key] * ROWS,
        "row": np.arange(ROWS),
        "timestamp_ms": random.random(ROWS) / 3,
        "clip": clip,
        "half": half,
    }


def parts_in_two(part: Part) -> Any:
    rows = rows_of(part.key)
    return iter([{name: column[a:b] for name, column in rows.items()} for a, b in ((0, 2), (2, ROWS))])


TABLE = Table("features", COLUMNS, tuple(Part(key, ROWS, f"v {key}", "") for key in KEYS), parts_in_two, {"model": "m"})


def from_parquet(path: Path) -> Read:
    return pq.read_table(path).to_pydict()


def from_csv(path: Path) -> Read:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    vectors = {"clip": ("clip_0", "clip_1", "clip_2"), "half": ("a dog", "a cat, or two")}
    plain = {name: [row[name] for row in rows] for name in ("key", "row", "timestamp_ms")}
    return plain | {name: [[row[one] for one in names] for row in rows] for name, names in vectors.items()}


def from_hdf5(path: Path) -> Read:
    with h5py.File(path) as file:
        first, rows = file["videos/first"][1], file["videos/rows"][1]
        assert file["videos/key"].asstr()[1] == file["key"].asstr()[first] == KEYS[1]
        assert (first, rows) == (ROWS, ROWS)
        assert file["about/data_versions"].asstr()[()].startswith('{"a.mp4": "v a.mp4"')
        return {"key": list(file["key"].asstr()[:]), **{c.name: file[c.name][:] for c in COLUMNS[1:]}}


def from_webdataset(path: Path) -> Read:
    samples = list(webdataset.WebDataset(str(path), shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples[:2]] == ["a.mp4/00000000", "a.mp4/00000001"]
    plain = {name: [sample["json"][name] for sample in samples] for name in ("key", "row", "timestamp_ms")}
    return plain | {name: [sample[f"{name}.npy"] for sample in samples] for name in ("clip", "half")}


READERS: dict[str, Callable[[Path], Read]] = {
    "parquet": from_parquet,
    "csv": from_csv,
    "hdf5": from_hdf5,
    "webdataset": from_webdataset,
}


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_read_is_what_was_written_to_the_last_bit(tmp_path: Path, name: Any) -> None:
    done = export(TABLE, name, tmp_path / "exported")
    (file,) = done.written
    read = READERS[name](tmp_path / "exported" / "data" / file)
    assert read["key"] == [key for key in KEYS for _ in range(ROWS)]
    for column in COLUMNS[1:]:
        expected = np.concatenate([np.asarray(rows_of(key)[column.name]) for key in KEYS])
        np.testing.assert_array_equal(np.asarray(read[column.name]).astype(column.dtype), expected, column.name)


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_table_gives_the_same_bytes_and_a_card_that_names_the_files(tmp_path: Path, name: Any) -> None:
    for folder in ("first", "second"):
        export(TABLE, name, tmp_path / folder)
    (file,) = (tmp_path / "first").glob("data/features-*")
    assert file.read_bytes() == (tmp_path / "second" / "data" / file.name).read_bytes()
    card = (tmp_path / "first" / "README.md").read_text(encoding="utf-8")
    assert ('data_files: "data/*"' in card) == (name != "hdf5")
    assert f"features-00000.{FORMATS[name].suffix}" in card or f"data/*.{FORMATS[name].suffix}" in card


def test_row_groups_are_of_one_size_whatever_the_videos_are(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("clip_assets.core.export.to_parquet.ROW_GROUP_BYTES", 7 * TABLE.row_bytes)
    parts = tuple(replace(TABLE.parts[0], key=f"{number}.mp4") for number in range(8))
    export(replace(TABLE, parts=parts), "parquet", tmp_path / "exported")
    file = pq.ParquetFile(tmp_path / "exported" / "data" / "features-00000.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [7, 8, 7, 8, 7, 3]
    clip = file.metadata.row_group(0).column(3)
    assert (clip.compression, "BYTE_STREAM_SPLIT" in clip.encodings) == ("ZSTD", True)
