import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clip_assets.core.errors import ResultCorruptError, SettingsError
from clip_assets.core.records import ClipFeatures
from clip_assets.core.store.store import TRASH, Store
from clip_assets_tests.core.store.storing import ASSET, KEY, assert_equal, clip_features, names, write


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
