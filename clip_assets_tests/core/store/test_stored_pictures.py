import pytest

from clip_assets.core.errors import SettingsError
from clip_assets.core.picture import Picture
from clip_assets.core.records import ClipFeatures
from clip_assets.core.store.store import TRASH, Store
from clip_assets_tests.core.store.storing import ASSET, FORMATS, KEY, assert_equal, clip_features

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
