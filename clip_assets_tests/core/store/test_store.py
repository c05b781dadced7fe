import dataclasses
import hashlib
import json
import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from upath import UPath

from clip_assets.core.errors import ResultCorruptError, ResultMissingError, SettingsError, StoreError
from clip_assets.core.records import ClipFeatures, FrameIndices, TextMatch
from clip_assets.core.store.files import LocalFiles
from clip_assets.core.store.store import Store
from clip_assets_tests.core.store.storing import ASSET, FORMATS, KEY, assert_equal, clip_features, names, write

RECORDS = [
    FrameIndices(np.array([0, 0, 7]), np.array([0.0, 1.5, 3.0]), np.array([0.0, 0.0, 2.9]), 29.97, 8, 320, 240, 3.1),
    clip_features(),
    dataclasses.replace(clip_features(), damage="frames 3 to 4 are missing"),
    TextMatch(("a red circle", "日本 🔴"), np.array([[0.25, 0.75]]), np.array([[1.0, 2.0]]), np.array([0.0])),
    TextMatch((), np.zeros((3, 0)), np.zeros((3, 0)), np.arange(3.0)),
]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_with_its_types_and_bits(root, form, record):
    store = Store(root, form)
    write(store, record)
    assert_equal(store.read(ASSET, KEY, type(record)), record)


def test_each_field_is_a_numpy_file_that_numpy_alone_reads(root):
    store = Store(root)
    write(store, clip_features())
    directory = store.root / "clip_features" / "sports" / "lifting.mp4"
    fields = [field.name for field in dataclasses.fields(ClipFeatures)]
    assert names(directory) == sorted(["manifest.json", *(f"{name}.npy" for name in fields)])
    with (directory / "fps.npy").open("rb") as file:
        fps = np.load(file, allow_pickle=False)
    assert (fps.shape, fps.dtype, fps.item()) == ((), np.float64, 19.62)
    with (directory / "model_name.npy").open("rb") as file:
        assert np.load(file, allow_pickle=False).item() == "ViT-B/32"


def test_a_pickle_is_a_dict_named_after_the_asset(root):
    store = Store(root, "pickle")
    write(store, clip_features())
    assert names(store.path(ASSET, KEY)) == ["clip_features.pkl", "manifest.json"]
    content = pickle.loads((store.path(ASSET, KEY) / "clip_features.pkl").read_bytes())
    assert_equal(ClipFeatures(**content), clip_features())


def test_the_manifest_says_what_is_stored(root):
    store = Store(root)
    parameters = {"model": "ViT-B/32", "fps": 5, "texts": ("a", "b")}
    written = store.write(ASSET, KEY, clip_features(), data_version="0f", parameters=parameters)
    manifest = store.manifest(ASSET, KEY)
    assert manifest == written
    assert (manifest.asset, manifest.partition_key, manifest.format) == (ASSET, KEY, "numpy")
    assert (manifest.record, manifest.data_version) == ("ClipFeatures", "0f")
    assert manifest.parameters == {"model": "ViT-B/32", "fps": 5, "texts": ["a", "b"]}
    assert manifest.arrays["clip"].shape == (5, 4)
    assert manifest.arrays["clip"].dtype == "<f4"
    assert manifest.files["clip.npy"].size == len((store.path(ASSET, KEY) / "clip.npy").read_bytes())
    age = datetime.now(UTC) - datetime.fromisoformat(manifest.created)
    assert timedelta(seconds=-1) < age < timedelta(minutes=1)


@pytest.mark.parametrize(("old", "new"), [("numpy", "pickle"), ("pickle", "numpy")])
def test_a_store_reads_both_formats_and_never_leaves_two_beside_each_other(root, old, new):
    write(Store(root, old), clip_features(seed=1))
    store = Store(root, new)
    assert_equal(store.read(ASSET, KEY, ClipFeatures), clip_features(seed=1))
    write(store, clip_features(seed=2))
    assert_equal(Store(root, old).read(ASSET, KEY, ClipFeatures), clip_features(seed=2))
    assert names(store.path(ASSET, KEY)) == sorted([*store.manifest(ASSET, KEY).files, "manifest.json"])


def test_nothing_stored_is_missing_and_no_error_for_the_manifest(root):
    store = Store(root)
    assert store.manifest(ASSET, KEY) is None
    assert list(store.keys(ASSET)) == []
    with pytest.raises(ResultMissingError, match=r"No whole result of clip_features .*manifest\.json"):
        store.read(ASSET, KEY, ClipFeatures)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda data: data[: len(data) // 2], "isn't JSON"),
        (lambda data: b"", "isn't JSON"),
        (lambda data: b'{"name": "a package"}', "isn't a manifest of clip_assets"),
        (lambda data: data.replace(b'"schema_version": 1', b'"schema_version": 7'), "has schema version 7, .* reads 1"),
        (lambda data: data.replace(b"lifting", b"running"), r"belongs to 'sports/running\.mp4'"),
    ],
)
def test_a_directory_without_a_valid_manifest_is_no_result(root, content, reason):
    store = Store(root)
    write(store, clip_features())
    path = store.path(ASSET, KEY) / "manifest.json"
    path.write_bytes(content(path.read_bytes()))
    assert store.manifest(ASSET, KEY) is None
    assert list(store.keys(ASSET)) == []
    with pytest.raises(ResultMissingError, match=reason):
        store.read(ASSET, KEY, ClipFeatures)
    write(store, clip_features(seed=3))
    assert_equal(store.read(ASSET, KEY, ClipFeatures), clip_features(seed=3))


@pytest.mark.parametrize("form", FORMATS)
def test_one_changed_byte_is_found_in_every_file(root, form):
    store = Store(root, form)
    for name in write(store, clip_features()).files:
        manifest = write(store, clip_features())
        path = store.path(ASSET, KEY) / name
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(ResultCorruptError) as raised:
            store.read(ASSET, KEY, ClipFeatures)
        message = str(raised.value)
        assert f"{name} has {len(data)} bytes with SHA-256 {hashlib.sha256(data).hexdigest()}" in message
        assert f"expected {len(data)} bytes with SHA-256 {manifest.files[name].sha256}" in message
        assert str(store.path(ASSET, KEY)) in message


def test_a_missing_file_is_corruption_and_named(root):
    store = Store(root)
    write(store, clip_features())
    path = store.path(ASSET, KEY) / "clip.npy"
    path.fs.rm_file(path.path)
    with pytest.raises(ResultCorruptError, match=r"clip\.npy is missing"):
        store.read(ASSET, KEY, ClipFeatures)


def test_a_pickle_that_runs_code_is_refused_though_its_digest_fits(tmp_path):
    store = Store(tmp_path, "pickle")
    write(store, clip_features())
    directory = tmp_path / ASSET / "sports" / "lifting.mp4"
    data = pickle.dumps({"clip": os.getcwd})
    (directory / "clip_features.pkl").write_bytes(data)
    manifest = json.loads((directory / "manifest.json").read_bytes())
    manifest["files"]["clip_features.pkl"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ResultCorruptError, match=r"names (posix|nt)\.getcwd, which is refused"):
        store.read(ASSET, KEY, ClipFeatures)


def test_another_record_than_asked_for_is_an_error(root):
    store = Store(root)
    write(store, clip_features())
    with pytest.raises(StoreError, match="holds a ClipFeatures, and a TextMatch was asked for"):
        store.read(ASSET, KEY, TextMatch)


def test_fields_of_another_version_of_the_record_are_an_error(root):
    @dataclasses.dataclass(frozen=True)
    class Other:
        clip: np.ndarray

    Other.__name__ = "ClipFeatures"
    store = Store(root)
    write(store, Other(np.zeros(3)))
    with pytest.raises(ResultCorruptError, match=r"it has the fields \['clip'\], expected .*'weights_sha256'"):
        store.read(ASSET, KEY, ClipFeatures)


def test_a_field_that_is_younger_than_what_is_stored_has_its_default(root):
    @dataclasses.dataclass(frozen=True)
    class Before:
        texts: tuple[str, ...]
        probabilities: np.ndarray
        logits: np.ndarray
        timestamps_ms: np.ndarray

    Before.__name__ = "TextMatch"
    store = Store(root)
    write(store, Before(("a",), np.ones((1, 1)), np.zeros((1, 1)), np.zeros(1)))
    assert store.read(ASSET, KEY, TextMatch).score_kind == "softmax"


@pytest.mark.parametrize("value", [np.float32(1), float("nan"), {1, 2}, Path("a"), b"x"])
def test_parameters_that_are_no_plain_json_are_refused(tmp_path, value):
    with pytest.raises(SettingsError, match="allowed are plain JSON values"):
        Store(tmp_path).write(ASSET, KEY, clip_features(), data_version="", parameters={"a": value})
    assert names(tmp_path) == []


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="'hdf5', allowed are numpy and pickle"):
        Store(tmp_path, "hdf5")


def test_a_relative_root_stays_where_it_was_when_the_working_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("output")
    write(store, clip_features())
    monkeypatch.chdir(tmp_path.parent)
    assert store.manifest(ASSET, KEY) is not None
    assert store.root == UPath(tmp_path / "output")


def test_a_root_that_is_a_file_says_so(tmp_path):
    (tmp_path / "output").write_text("")
    store = Store(tmp_path / "output")
    assert store.manifest(ASSET, KEY) is None
    with pytest.raises(
        StoreError, match=r"output/clip_features/sports/lifting\.mp4 can't be written: .*Not a directory"
    ):
        write(store, clip_features())


def test_a_store_that_cannot_be_read_is_not_taken_for_an_empty_one(tmp_path, monkeypatch):
    store = Store(tmp_path)
    write(store, clip_features())

    def refuse(files, path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(LocalFiles, "read", refuse)
    for call in (lambda: store.manifest(ASSET, KEY), lambda: store.read(ASSET, KEY, ClipFeatures)):
        with pytest.raises(StoreError, match=r"can't be read: .*Permission denied") as raised:
            call()
        assert not isinstance(raised.value, ResultMissingError)


def test_a_server_that_cannot_be_asked_is_told_as_a_disk_is(monkeypatch):
    store = Store("memory://unreachable")

    def refuse(*args, **kwargs):
        raise RuntimeError("no route to it")  # each file system has errors of its own

    for method in ("cat_file", "cat_ranges", "find", "info", "pipe", "rm_file"):
        monkeypatch.setattr(MemoryFileSystem, method, refuse)
    for call in (
        lambda: store.manifest(ASSET, KEY),
        lambda: store.identities(ASSET),
        lambda: store.identity(ASSET, KEY),
        lambda: list(store.many.manifests([(ASSET, KEY)])),
        lambda: store.delete(ASSET, KEY),
        lambda: write(store, clip_features()),
    ):
        with pytest.raises(StoreError, match="no route to it"):
            call()
