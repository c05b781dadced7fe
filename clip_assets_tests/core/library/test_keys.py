"""Partition keys: what may be one, and that a key and a path below the root name each other."""

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clip_assets.core.errors import PartitionKeyError
from clip_assets.core.library import keys
from clip_assets.core.library.folder import Folder
from clip_assets.core.library.keys import MAX_KEY_BYTES, validate_key

ODD_BUT_ALLOWED = [
    "wait for it....mp4",
    "[a...b], c.mp4",
    "a|b.mp4",
    "--partition.mp4",
    "*.mp4",
    "$HOME %2F {k}.mp4",
    " spaces around .mp4 ",
    "ü/漢字/😀.MP4",
    "...",
    ".hidden/a.mp4",
    "no extension",
]
REFUSED = {
    "": "is empty",
    "/": "is absolute",
    "/etc/passwd": "is absolute",
    ".": "'.' or '..'",
    "..": "'.' or '..'",
    "../a.mp4": "'.' or '..'",
    "a/../../b.mp4": "'.' or '..'",
    "a/./b.mp4": "'.' or '..'",
    "a//b.mp4": "is empty",
    "a/": "is empty",
    "a\nb.mp4": "control character",
    "a\0.mp4": "control character",
    "a\x7f.mp4": "control character",
    "a\x85.mp4": "control character",
    "a\u2028.mp4": "line break",
    "caf\udce9.mp4": "no UTF-8",
    "a" * 252 + ".mp4": "256 bytes in UTF-8",
    "漢" * 84 + ".mp4": "256 bytes in UTF-8",
    "/".join(["a" * 250] * 8): "2007 bytes in UTF-8",
}


@pytest.mark.parametrize("key", ODD_BUT_ALLOWED)
def test_odd_names_are_keys_as_they_are(tmp_path: Path, key: str):
    validate_key(key)
    assert Folder(tmp_path).path(key) == tmp_path / key
    assert Folder(tmp_path).key_for(tmp_path / key) == key


@pytest.mark.parametrize(("key", "reason"), REFUSED.items(), ids=lambda value: ascii(value)[:20])
def test_what_cannot_be_a_key_is_refused_with_the_reason(tmp_path: Path, key: str, reason: str):
    with pytest.raises(PartitionKeyError, match=reason):
        validate_key(key)
    with pytest.raises(PartitionKeyError, match=reason):
        Folder(tmp_path).path(key)


def test_the_longest_key_is_allowed():
    key = "/".join(["a" * 250] * 7 + ["b" * 243])
    assert len(key) == MAX_KEY_BYTES
    validate_key(key)


def test_a_backslash_is_refused_only_where_it_separates_folders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keys.os, "sep", "/")
    validate_key("a\\b.mp4")
    monkeypatch.setattr(keys.os, "sep", "\\")
    with pytest.raises(PartitionKeyError, match="write / instead"):
        validate_key("a\\b.mp4")


parts = st.text(st.characters(exclude_characters="/\\:"), max_size=12) | st.sampled_from([".", "..", "", "a.mp4"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(parts, max_size=4).map("/".join))
def test_every_allowed_key_names_one_path_below_the_root_and_back(tmp_path: Path, key: str):
    try:
        validate_key(key)
    except PartitionKeyError:
        return
    path = Folder(tmp_path).path(key)
    assert PurePosixPath(os.path.normpath(path)).is_relative_to(tmp_path)
    assert path != tmp_path
    assert Folder(tmp_path).key_for(path) == key
    assert len(key.splitlines()) == 1
    assert key.encode().decode() == key
