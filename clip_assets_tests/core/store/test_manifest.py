import dataclasses
import json

import pytest

from clip_assets.core.records import SourceStat
from clip_assets.core.store.manifest import Manifest, StoredArray, StoredFile, StoredPicture

MANIFEST = Manifest(
    asset="clip_features",
    partition_key="sports/日本 \ud800.mp4",
    format="numpy",
    record="ClipFeatures",
    data_version="0f" * 32,
    parameters={"model": "ViT-B/32", "fps": 0.1, "nested": [1, None, {"a": True}]},
    summary={"frames": 355, "seconds": 1.5},
    created="2025-01-02T03:04:05.678+00:00",
    arrays={"clip": StoredArray((355, 512), "<f4"), "fps": StoredArray((), "<f8")},
    files={"clip.npy": StoredFile(727168, "ab" * 32), "fps.npy": StoredFile(136, "cd" * 32)},
    pictures={"change.png": StoredPicture(20_000, "ef" * 32, "change from frame to frame")},
)


def changed(indent: int | None = None, **changes) -> bytes:
    """The manifest with other values, indented as the store writes it or not, and with a key that UTF-8 can tell."""
    content = json.loads(MANIFEST.to_json()) | {"partition_key": "sports/a.mp4"} | changes
    return json.dumps(content, indent=indent).encode()


@pytest.mark.parametrize("key", [MANIFEST.partition_key, "sports/日本.mp4"])
@pytest.mark.parametrize("stat", [None, SourceStat(5, 7), SourceStat(5, 0, "etag")])
def test_a_manifest_comes_back_equal_and_keeps_the_order_of_fields(key, stat):
    manifest = dataclasses.replace(MANIFEST, partition_key=key, source_stat=stat)
    back = Manifest.from_json(manifest.to_json())
    assert back == manifest
    assert list(back.arrays) == ["clip", "fps"]
    assert Manifest.from_json(json.dumps(json.loads(manifest.to_json())).encode()) == manifest


def test_a_manifest_is_json_that_other_programs_read():
    content = json.loads(MANIFEST.to_json())
    assert content["schema_version"] == 1
    assert content["partition_key"] == MANIFEST.partition_key
    assert content["arrays"]["clip"] == {"shape": [355, 512], "dtype": "<f4"}
    assert content["files"]["clip.npy"] == {"size": 727168, "sha256": "ab" * 32}


def test_a_manifest_torn_at_any_byte_is_refused():
    data = MANIFEST.to_json()
    for length in range(len(data)):
        with pytest.raises(ValueError, match="isn't JSON"):
            Manifest.from_json(data[:length])


@pytest.mark.parametrize("data", [b"null", b"[]", b"{}", b'{"asset": "clip_features"}'])
def test_foreign_json_is_refused(data):
    with pytest.raises(ValueError, match="no schema_version"):
        Manifest.from_json(data)


@pytest.mark.parametrize("data", [b"\xff\xfe\xfd", b"[" * 100_000, b"\0" * 100])
def test_foreign_bytes_are_refused(data):
    with pytest.raises(ValueError, match="isn't JSON"):
        Manifest.from_json(data)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_is_named_with_the_way_out(version):
    with pytest.raises(ValueError, match=rf"schema version {version!r}, and this .* reads 1: use the version of"):
        Manifest.from_json(changed(schema_version=version))


@pytest.mark.parametrize(
    "changes",
    [
        {"asset": None},
        {"partition_key": 1},
        {"data_version": None},
        {"created": 0},
        {"format": "hdf5"},
        {"format": "pickle"},
        {"parameters": None},
        {"surplus": 1},
        {"source_stat": {"size": -1, "mtime_ns": 0}},
        {"arrays": []},
        {"arrays": {"clip": {"shape": [1], "dtype": "<f4"}}},
        {"arrays": {"clip": {"shape": [-1], "dtype": "<f4"}, "fps": {"shape": [], "dtype": "<f8"}}},
        {"arrays": {"clip": {"shape": 3, "dtype": "<f4"}, "fps": {"shape": [], "dtype": "<f8"}}},
        {"files": {}},
        {"files": {"clip.npy": {"size": 1}, "fps.npy": {"size": 1}}},
        {"files": {"clip.npy": {"size": "1", "sha256": ""}, "fps.npy": {"size": 1, "sha256": ""}}},
        {"files": {"clip.npy": {"size": 1, "sha256": ""}, "../fps.npy": {"size": 1, "sha256": ""}}},
        {"pictures": []},
        {"pictures": {"../change.png": {"size": 1, "sha256": "", "alt": ""}}},
        {"pictures": {"change.svg": {"size": 1, "sha256": "", "alt": ""}}},
        {"pictures": {"change.png": {"size": 1, "sha256": "", "alt": None}}},
        {"pictures": {"change.png": {"size": 1, "sha256": "", "alt": "", "shown": "no"}}},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_values_of_the_wrong_kind_are_refused(changes, indent):
    with pytest.raises(ValueError, match="aren't those of schema version 1"):
        Manifest.from_json(changed(indent, **changes))


def test_a_missing_value_is_refused_by_name():
    content = json.loads(MANIFEST.to_json())
    del content["data_version"]
    with pytest.raises(ValueError, match="data_version"):
        Manifest.from_json(json.dumps(content).encode())


@pytest.mark.parametrize("indent", [None, 1])
def test_no_file_outside_the_directory_is_ever_named(indent):
    forged = changed(
        indent,
        arrays={"../../secret": {"shape": [], "dtype": "<f8"}},
        files={"../../secret.npy": {"size": 1, "sha256": ""}},
    )
    with pytest.raises(ValueError, match="identifiers"):
        Manifest.from_json(forged)


def test_a_manifest_from_before_there_were_pictures_is_read():
    content = json.loads(MANIFEST.to_json())
    del content["pictures"]
    assert Manifest.from_json(json.dumps(content).encode()).pictures == {}


def test_a_picture_from_before_some_were_only_kept_is_shown():
    content = json.loads(MANIFEST.to_json())
    del content["pictures"]["change.png"]["shown"]
    assert Manifest.from_json(json.dumps(content).encode()) == MANIFEST


def test_the_file_s_size_and_time_are_kept_where_they_were_noted_and_absent_where_not():
    noted = dataclasses.replace(MANIFEST, source_stat=SourceStat(size=10, mtime_ns=1_700_000_000_000_000_001))
    assert Manifest.from_json(noted.to_json()) == noted
    assert "source_stat" not in json.loads(MANIFEST.to_json())


@pytest.mark.parametrize("stat", [{"size": 1}, {"size": -1, "mtime_ns": 0}, {"size": "1", "mtime_ns": 0}, 7])
def test_a_file_s_size_and_time_that_are_none_are_refused(stat):
    with pytest.raises(ValueError, match="schema version 1"):
        Manifest.from_json(changed(source_stat=stat))
