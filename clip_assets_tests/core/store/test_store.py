import dataclasses
import hashlib
import json
import os
import pickle
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import example, given, settings
from hypothesis import strategies as st
from upath import UPath

from clip_assets.core.errors import ResultCorruptError, ResultMissingError, SettingsError, StoreError
from clip_assets.core.picture import Picture
from clip_assets.core.records import ClipFeatures, FrameIndices, TextMatch
from clip_assets.core.store.files import LocalFiles
from clip_assets.core.store.store import TRASH, Store

ASSET = "clip_features"
KEY = "sports/lifting.mp4"
FORMATS = ["numpy", "pickle"]


def clip_features(frames: int = 5, seed: int = 0) -> ClipFeatures:
    random = np.random.default_rng(seed)
    clip = random.standard_normal((frames, 4)).astype(np.float32)
    clip[:1] = np.nan
    times = np.arange(frames) * 50.0
    return ClipFeatures(clip, times, times + 0.25, np.arange(frames), 19.62, "ViT-B/32", "ab" * 32, "")


RECORDS = [
    FrameIndices(np.array([0, 0, 7]), np.array([0.0, 1.5, 3.0]), np.array([0.0, 0.0, 2.9]), 29.97, 8, 320, 240, 3.1),
    clip_features(),
    dataclasses.replace(clip_features(), damage="frames 3 to 4 are missing"),
    TextMatch(("a red circle", "日本 🔴"), np.array([[0.25, 0.75]]), np.array([[1.0, 2.0]]), np.array([0.0])),
    TextMatch((), np.zeros((3, 0)), np.zeros((3, 0)), np.arange(3.0)),
]


@pytest.fixture(params=["local", "file", "memory"])
def root(request, tmp_path):
    return {
        "local": tmp_path / "out put",
        "file": f"file://{tmp_path.as_posix()}/output",
        "memory": f"memory://{uuid.uuid4()}/output",
    }[request.param]


def write(store, record, key=KEY, asset=ASSET, data_version="v1"):
    return store.write(asset, key, record, data_version=data_version, parameters={})


def assert_equal(got, expected):
    assert type(got) is type(expected)
    for field in dataclasses.fields(expected):
        one, other = getattr(got, field.name), getattr(expected, field.name)
        assert type(one) is type(other), field.name
        if isinstance(other, np.ndarray):
            assert one.dtype == other.dtype, field.name
            np.testing.assert_array_equal(one, other, err_msg=field.name)
        else:
            assert one == other, field.name


def names(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


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


PICTURES = [Picture("sheet.jpg", b"sheet's bytes", "two frames"), Picture("change.png", b"plot", "a line")]


def write_with_pictures(store, pictures=PICTURES):
    return store.write(ASSET, KEY, clip_features(), data_version="v1", parameters={}, pictures=pictures)


@pytest.mark.parametrize("form", FORMATS)
def test_pictures_come_back_in_order_with_their_words(root, form):
    store = Store(root, form)
    manifest = write_with_pictures(store)
    assert store.pictures(manifest) == PICTURES
    assert store.manifest(ASSET, KEY) == manifest


def test_a_result_is_whole_without_its_pictures(root):
    store = Store(root)
    manifest = write_with_pictures(store)
    path = store.path(ASSET, KEY)
    (path / "sheet.jpg").unlink()
    (path / "change.png").write_bytes(b"other")
    assert store.pictures(manifest) == []
    assert_equal(store.read(ASSET, KEY, ClipFeatures), clip_features())


def test_pictures_go_with_their_result(root):
    store = Store(root)
    write_with_pictures(store)
    manifest = write_with_pictures(store, PICTURES[1:])
    path = store.path(ASSET, KEY)
    assert not (path / "sheet.jpg").exists()
    store.move_to_trash(ASSET, KEY)
    assert Store(store.root / TRASH).pictures(manifest) == PICTURES[1:]
    assert not (path / "change.png").exists()


def test_a_picture_that_is_only_kept_is_not_among_those_shown_and_goes_with_its_result(root):
    store = Store(root)
    kept = Picture("kept.jpg", b"many frames", "many frames", shown=False)
    manifest = write_with_pictures(store, [kept, *PICTURES])
    assert store.manifest(ASSET, KEY) == manifest
    assert store.pictures(manifest) == PICTURES
    assert store.picture(manifest, "kept.jpg") == kept
    store.move_to_trash(ASSET, KEY)
    assert Store(store.root / TRASH).picture(manifest, "kept.jpg") == kept


def test_a_picture_that_is_unknown_gone_or_damaged_is_none(root):
    store = Store(root)
    manifest = write_with_pictures(store)
    assert store.picture(manifest, "sheet.jpg") == PICTURES[0]
    assert store.picture(manifest, "manifest.json") is None
    (store.path(ASSET, KEY) / "sheet.jpg").write_bytes(b"other")
    assert store.picture(manifest, "sheet.jpg") is None
    (store.path(ASSET, KEY) / "change.png").unlink()
    assert store.picture(manifest, "change.png") is None


@pytest.mark.parametrize("name", ["../change.png", "change.svg", "a b.png", ".png"])
def test_a_picture_with_another_name_is_refused(name):
    with pytest.raises(SettingsError, match="identifier"):
        Picture(name, b"", "")


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


def test_a_key_and_keys_below_it_are_separate_results(root):
    store = Store(root)
    keys = [
        "a",
        "a/b",
        "a/clip.npy",
        "a/manifest.json",
        "a/clip_features.pkl",
        "a/",
        "/a",
        "..",
        "../a",
        "",
        "A/b",
        "x" * 400,
    ]
    for number, key in enumerate(keys):
        write(store, clip_features(frames=number + 1), key)
    for number, key in enumerate(keys):
        assert_equal(store.read(ASSET, key, ClipFeatures), clip_features(frames=number + 1))
    assert sorted(store.keys(ASSET)) == sorted(keys)
    store.delete(ASSET, "a")
    assert sorted(store.keys(ASSET)) == sorted(keys[1:])
    for key in keys[1:]:
        store.delete(ASSET, key)
    assert list(store.keys(ASSET)) == []


@settings(max_examples=25)
@given(st.text())
@example("../../../../../../tmp/evil")
@example("/tmp/evil")
@example("video [v1] {a,b} **.mp4")
@example("~/x")
def test_any_key_can_be_stored_listed_and_deleted(tmp_path_factory, key):
    base = tmp_path_factory.mktemp("any_key")
    for root in (base / "output", f"memory://{base.name}/output"):
        store = Store(root)
        write(store, clip_features(), key)
        assert store.read(ASSET, key, ClipFeatures).fps == 19.62
        assert list(store.keys(ASSET)) == [key]
        assert store.path(ASSET, key).path.startswith(f"{store.root.path}/{ASSET}/")
        assert (store.path(ASSET, key) / "manifest.json").exists()
        store.delete(ASSET, key)
        assert list(store.keys(ASSET)) == []
    assert list(base.iterdir()) == [base / "output"]
    assert list((base / "output").iterdir()) == []


def test_keys_are_told_from_manifests_that_were_copied_elsewhere(tmp_path):
    store = Store(tmp_path)
    write(store, clip_features(), "a")
    (tmp_path / ASSET / "b").mkdir()
    (tmp_path / ASSET / "b" / "manifest.json").write_bytes((tmp_path / ASSET / "a" / "manifest.json").read_bytes())
    assert list(store.keys(ASSET)) == ["a"]


def test_deleting_leaves_files_of_others_and_no_empty_directories(tmp_path):
    store = Store(tmp_path)
    for key in ("a/b/c", "a/b/d", "e/f"):
        write(store, clip_features(), key)
    note = tmp_path / ASSET / "a" / "b" / "d" / "note.txt"
    note.write_text("keep")
    for key in ("a/b/c", "a/b/d", "e/f", "never/stored"):
        store.delete(ASSET, key)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [note]
    assert names(tmp_path / ASSET) == ["a"]


def test_the_trash_takes_the_result_out_of_sight_and_keeps_it_readable(root):
    store = Store(root)
    trash = Store(store.root / TRASH)
    assert store.move_to_trash(ASSET, KEY) is False
    for seed in (1, 2):
        manifest = write(store, clip_features(seed=seed))
        assert store.move_to_trash(ASSET, KEY) is True
        assert store.manifest(ASSET, KEY) is None
        assert list(store.keys(ASSET)) == []
        assert list(trash.keys(ASSET)) == [KEY]
        assert trash.manifest(ASSET, KEY) == manifest
        assert_equal(trash.read(ASSET, KEY, ClipFeatures), clip_features(seed=seed))


def test_a_damaged_result_moves_to_the_trash_as_it_is(tmp_path):
    store = Store(tmp_path)
    write(store, clip_features())
    (tmp_path / ASSET / KEY / "clip.npy").unlink()
    (tmp_path / ASSET / KEY / "fps.npy").write_bytes(b"damaged")
    assert store.move_to_trash(ASSET, KEY) is True
    assert names(tmp_path) == [TRASH]
    with pytest.raises(ResultCorruptError, match=r"clip\.npy is missing.*fps\.npy has 7 bytes"):
        Store(tmp_path / TRASH).read(ASSET, KEY, ClipFeatures)


def test_remains_without_a_manifest_are_deleted_and_not_kept_in_the_trash(tmp_path):
    store = Store(tmp_path)
    write(store, clip_features())
    (tmp_path / ASSET / KEY / "manifest.json").unlink()
    assert store.move_to_trash(ASSET, KEY) is False
    assert names(tmp_path) == []


@pytest.mark.parametrize("asset", ["", "trash", "Trash", "a/b", "..", "a.b", "ä", "a\n"])
def test_asset_names_that_could_meet_other_files_are_refused(tmp_path, asset):
    with pytest.raises(SettingsError, match="allowed are letters, digits and underscores"):
        write(Store(tmp_path), clip_features(), asset=asset)


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


@pytest.mark.parametrize("form", FORMATS)
def test_rows_are_read_alone_and_are_those_of_the_whole(root, form):
    store = Store(root, form)
    features = clip_features(9)
    manifest = write(store, features)
    first, last = store.rows(manifest, "clip", [(0, 2), (7, 9)])
    np.testing.assert_array_equal(np.concatenate([first, last]), features.clip[[0, 1, 7, 8]])
    np.testing.assert_array_equal(store.rows(manifest, "timestamps_ms", [(3, 4)])[0], features.timestamps_ms[3:4])


def test_rows_of_an_array_that_lay_in_columns_are_its_rows(root):
    store = Store(root)
    features = clip_features(6)
    manifest = write(store, dataclasses.replace(features, clip=np.asfortranarray(features.clip)))
    np.testing.assert_array_equal(store.rows(manifest, "clip", [(4, 6)])[0], features.clip[4:6])


def test_rows_of_a_result_that_is_gone_or_cut_off_are_an_error(tmp_path):
    store = Store(tmp_path)
    manifest = write(store, clip_features(6))
    path = Path(store.path(ASSET, KEY) / "clip.npy")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ResultCorruptError, match="ends before"):
        store.rows(manifest, "clip", [(4, 6)])
    path.unlink()
    with pytest.raises(ResultMissingError, match="gone"):
        store.rows(manifest, "clip", [(4, 6)])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("frames", [3, 70_000])
def test_whole_arrays_are_checked_whether_they_are_mapped_or_read(root, form, frames):
    store = Store(root, form)
    features = clip_features(frames)
    manifest = write(store, features)
    arrays = store.arrays(manifest, ["clip", "indices"])
    np.testing.assert_array_equal(arrays["clip"], features.clip)
    np.testing.assert_array_equal(arrays["indices"], features.indices)
    path = store.path(ASSET, KEY) / next(iter(manifest.files))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ResultCorruptError, match="other bytes"):
        store.arrays(manifest, ["clip"])
    path.unlink()
    with pytest.raises(ResultMissingError, match="gone"):
        store.arrays(manifest, ["clip"])


def test_another_result_has_another_identity_and_the_same_keeps_it(root):
    store = Store(root)
    assert store.identity(ASSET, KEY) is None
    seen = set()
    for seed in range(3):
        write(store, clip_features(seed=seed))
        seen.add(store.identity(ASSET, KEY))
        assert store.identities(ASSET) == {KEY: store.identity(ASSET, KEY)}
    assert len(seen) == 3
    store.delete(ASSET, KEY)
    assert (store.identity(ASSET, KEY), store.identities(ASSET)) == (None, {})


def test_identities_and_manifests_of_many_are_those_of_each(root):
    store = Store(root)
    keys = [KEY, "a/[b].mp4", "never", "a"]
    for key in keys[:2]:
        store.write(ASSET, key, clip_features(), data_version="1", parameters={"of": key})
    assets = [ASSET, "shots"]
    each = [tuple(store.identity(asset, key) for asset in assets) for key in keys]
    assert list(store.many.identities(assets, keys)) == each
    assert [bool(found) for found, _ in each] == [True, True, False, False]
    asked = [(asset, key) for key in keys for asset in assets]
    assert list(store.many.manifests(asked)) == [store.manifest(*of) for of in asked]
    assert list(store.many.identities(assets, [])) == list(store.many.manifests([])) == []


def test_a_directory_that_an_identity_is_of_leads_to_its_manifest(root):
    store = Store(root)
    write(store, clip_features(), key="what?.mp4")
    (directory,) = store.identities(ASSET)
    assert store.manifest_in(ASSET, directory).partition_key == "what?.mp4"
    assert store.manifest_in(ASSET, "other.mp4") is None
