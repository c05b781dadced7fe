"""An export: what is in its files is what is stored, and only files whose videos changed are written again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from clip_assets.core.digests import digest
from clip_assets.core.errors import ExportError, ExportFolderError
from clip_assets.core.export.contents import What, stored_table
from clip_assets.core.export.exporting import export, is_current
from clip_assets.core.export.table import Table
from clip_assets.core.matching import text_parameters
from clip_assets.core.records import ClipFeatures, Shots, TextMatch
from clip_assets.core.shots import find_shots, shot_parameters
from clip_assets.core.store import Store
from clip_assets.core.store.manifest import Format

WIDTH = 24
KEYS = ("a.mp4", "b/ä ö.mp4", "c.mp4", "d.mp4")
SHARD = 2 * 10 * (WIDTH * 4 + 4 * 8)
"""Bytes of two videos' rows."""


def store_features(store: Store, key: str, seed: int = 0, rows: int = 10) -> ClipFeatures:
    random = np.random.default_rng([seed, *key.encode()])
    clip = (10 * random.standard_normal((rows, WIDTH))).astype(np.float32)
    times = np.cumsum(random.random(rows)) * 100
    record = ClipFeatures(clip, times, times + 0.25, np.arange(rows) * 3, 25.0, "m", "w" * 64)
    parameters = {"source": f"{key} {seed}"}
    store.write("clip_features", key, record, data_version=digest(parameters), parameters=parameters)
    return record


def table_of(store: Store, what: What = "features", float16: bool = False) -> Table:
    return stored_table(store, what, KEYS, {"model_name": "m", "weights_sha256": "w" * 64}, float16)[0]


def read(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("data/*.parquet"))])


def vectors(column: pa.ChunkedArray) -> np.ndarray:
    return np.stack(column.to_numpy())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "output")
    for key in KEYS:
        store_features(made, key)
    return made


@pytest.fixture
def exported(store: Store, tmp_path: Path) -> Path:
    export(table_of(store), "parquet", tmp_path / "exported", shard_bytes=SHARD)
    return tmp_path / "exported"


@pytest.mark.parametrize("form", ["numpy", "pickle"])
def test_what_is_read_from_parquet_is_what_is_stored_to_the_last_bit(tmp_path: Path, form: Format) -> None:
    store = Store(tmp_path / "output", form)
    stored = {key: store_features(store, key, rows=5000) for key in KEYS}  # more than are read at once
    done = export(table_of(store), "parquet", tmp_path / "exported")
    rows = read(tmp_path / "exported")
    assert (done.rows, done.videos, rows.num_rows) == (20_000, 4, 20_000)
    for key, record in stored.items():
        found = rows.filter(pa.compute.equal(rows["key"], key))
        np.testing.assert_array_equal(vectors(found["clip"]).view(np.uint32), record.clip.view(np.uint32))
        np.testing.assert_array_equal(found["row"], np.arange(5000))
        np.testing.assert_array_equal(found["timestamp_ms"], record.timestamps_ms)
        np.testing.assert_array_equal(found["source_timestamp_ms"], record.source_timestamps_ms)
        np.testing.assert_array_equal(found["frame_index"], record.indices)
    versions = json.loads(rows.schema.metadata[b"clip_assets.data_versions"])
    assert versions == {key: digest({"source": f"{key} 0"}) for key in KEYS}
    assert rows.schema.metadata[b"clip_assets.weights_sha256"] == b"w" * 64


def test_half_precision_is_within_half_a_unit_and_what_does_not_fit_is_refused(store: Store, tmp_path: Path) -> None:
    export(table_of(store, float16=True), "parquet", tmp_path / "exported")
    halves = vectors(read(tmp_path / "exported")["clip"])
    assert halves.dtype == np.float16
    exact = np.concatenate([store.read("clip_features", key, ClipFeatures).clip for key in KEYS])
    assert (np.abs(halves.astype(np.float64) - exact) <= np.spacing(np.abs(halves)).astype(np.float64) / 2).all()
    large = replace(store.read("clip_features", "a.mp4", ClipFeatures), clip=np.full((10, WIDTH), 70_000, np.float32))
    store.write("clip_features", "a.mp4", large, data_version="large", parameters={})
    with pytest.raises(ExportError, match=r"'a\.mp4' is beyond 65,504"):
        export(table_of(store, float16=True), "parquet", tmp_path / "exported")


def test_only_the_file_of_a_video_that_changed_is_written_again(store: Store, exported: Path) -> None:
    table = table_of(store)
    assert sorted(path.name for path in exported.glob("data/*.parquet")) == [
        "features-00000.parquet",
        "features-00001.parquet",
    ]
    before = {path: path.stat().st_mtime_ns for path in exported.glob("data/*.parquet")}
    assert export(table, "parquet", exported, shard_bytes=SHARD).written == ()
    assert {path: path.stat().st_mtime_ns for path in exported.glob("data/*.parquet")} == before
    assert is_current(table, "parquet", exported)
    record = store_features(store, "d.mp4", seed=1)
    assert not is_current(table_of(store), "parquet", exported)
    assert export(table_of(store), "parquet", exported, shard_bytes=SHARD).written == ("features-00001.parquet",)
    assert is_current(table_of(store), "parquet", exported)
    np.testing.assert_array_equal(vectors(read(exported)["clip"])[30:], record.clip)
    (exported / "data" / "features-00000.parquet").write_bytes(b"cut off")
    assert export(table_of(store), "parquet", exported, shard_bytes=SHARD).written == ("features-00000.parquet",)


def test_a_new_video_comes_behind_and_a_removed_one_leaves_its_file(store: Store, exported: Path) -> None:
    table = table_of(store)
    new = replace(table.parts[0], key="A new one, before all others.mp4")
    read_again = lambda part: table.read(table.parts[0] if part is new else part)  # noqa: E731
    more = replace(table, parts=(new, *table.parts), read=read_again)
    assert export(more, "parquet", exported, shard_bytes=SHARD).written == ("features-00002.parquet",)
    fewer = replace(table, parts=table.parts[:1])
    done = export(fewer, "parquet", exported, shard_bytes=SHARD)
    assert (done.written, done.rows) == (("features-00000.parquet",), 10)
    assert sorted(path.name for path in exported.iterdir() if path.name[0] != ".") == [
        *("README.md", "data", "export.json", "shards")
    ]


def test_an_export_that_was_interrupted_goes_on_with_the_file_that_it_was_at(store: Store, tmp_path: Path) -> None:
    table, folder = table_of(store), tmp_path / "exported"

    def killed(part):
        if part.key == "d.mp4":
            raise KeyboardInterrupt
        return table.read(part)

    with pytest.raises(KeyboardInterrupt):
        export(replace(table, read=killed), "parquet", folder, shard_bytes=SHARD)
    (folder / "data" / ".features-00007.parquet.tmp").touch()  # of one that had no time to remove it
    (folder / "data" / "ours.txt").touch()
    (folder / "data" / "features-00008.parquet").touch()  # of one that had no time to record it
    done = export(table, "parquet", folder, shard_bytes=SHARD)
    assert (done.kept, done.written) == (("features-00000.parquet",), ("features-00001.parquet",))
    assert read(folder)["key"].to_pylist() == [key for key in KEYS for _ in range(10)]
    assert sorted(path.name for path in (folder / "data").iterdir()) == [*done.kept, *done.written, "ours.txt"]


def test_a_damaged_result_is_left_out_and_told_until_it_is_mended(store: Store, exported: Path) -> None:
    path = Path(store.path("clip_features", "a.mp4") / "clip.npy")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = export(table_of(store, float16=True), "parquet", exported, shard_bytes=SHARD)
    assert (done.videos, done.rows, list(done.unreadable)) == (3, 30, ["a.mp4"])
    assert "a.mp4" not in json.loads(
        pq.read_schema(exported / "data" / "features-00000.parquet").metadata[b"clip_assets.data_versions"]
    )
    path.write_bytes(whole)
    assert export(table_of(store, float16=True), "parquet", exported, shard_bytes=SHARD).rows == 40


def test_a_folder_of_something_else_is_refused_and_an_edited_card_stays(store: Store, exported: Path) -> None:
    with pytest.raises(ExportFolderError, match="isn't empty"):
        export(table_of(store), "parquet", exported.parent)
    (exported / "README.md").write_text("Ours.")
    export(table_of(store, float16=True), "parquet", exported)
    assert (exported / "README.md").read_text() == "Ours."
    store_shots(store, "a.mp4")
    with pytest.raises(ExportFolderError, match="holds features as parquet"):
        export(table_of(store, "shots"), "parquet", exported)
    with FileLock(exported / ".lock"), pytest.raises(ExportFolderError, match="Another export"):
        export(table_of(store), "parquet", exported)


def test_shots_and_probabilities_are_those_of_the_features_that_are_stored(store: Store, tmp_path: Path) -> None:
    shots = store_shots(store, "a.mp4")
    store_shots(store, "c.mp4")
    store_features(store, "c.mp4", seed=1)
    table, left_out = stored_table(store, "shots", KEYS, {})
    assert left_out == {
        "without stored shots": 2,
        "whose shots are of other features than those that are stored": 1,
    }
    export(table, "parquet", tmp_path / "shots")
    rows = read(tmp_path / "shots")
    np.testing.assert_array_equal(vectors(rows["mean"]), shots.means)
    np.testing.assert_array_equal(rows["typical_row"], shots.typical_rows)

    matches = {key: store_match(store, key, ("a dog", "a cat")) for key in KEYS[:3]}
    store_match(store, "d.mp4", ("a car", "a bus"))
    table, left_out = stored_table(store, "probabilities", KEYS, {})
    assert left_out == {"whose probabilities are of another form, or of other sentences, than most": 1}
    export(table, "parquet", tmp_path / "probabilities")
    rows = read(tmp_path / "probabilities")
    expected = np.concatenate([match.probabilities for match in matches.values()])
    np.testing.assert_array_equal(vectors(rows["probabilities"]), expected)
    assert json.loads(rows.schema.metadata[b"clip_assets.probabilities_of"]) == ["a dog", "a cat"]
    assert "0. a dog\n1. a cat" in (tmp_path / "probabilities" / "README.md").read_text()


def test_nothing_to_export_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="There are no features to export"):
        table_of(Store(tmp_path))


def store_shots(store: Store, key: str) -> Shots:
    shots = find_shots(store.read("clip_features", key, ClipFeatures), 1000.0)
    parameters = shot_parameters(parameters_of(store, key))
    store.write("shots", key, shots, data_version=digest(parameters), parameters=parameters)
    return shots


def store_match(store: Store, key: str, texts: tuple[str, ...]) -> TextMatch:
    times = store.read("clip_features", key, ClipFeatures).timestamps_ms
    random = np.random.default_rng(list(key.encode())).random((len(times), len(texts)))
    match = TextMatch(texts, random, random, times)
    parameters = {**parameters_of(store, key), **text_parameters(texts)}
    store.write("text_match", key, match, data_version=digest(parameters), parameters=parameters)
    return match


def parameters_of(store: Store, key: str) -> dict[str, object]:
    manifest = store.manifest("clip_features", key)
    assert manifest is not None
    return manifest.parameters
