import dataclasses
from pathlib import Path

import numpy as np
import pytest

from clip_assets.core.errors import ResultCorruptError, ResultMissingError
from clip_assets.core.store.store import Store
from clip_assets_tests.core.store.storing import ASSET, FORMATS, KEY, clip_features, write


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
