"""The library on real folders: what is listed, which key names which file, what a fingerprint tells apart."""

import hashlib
import os
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clip_assets.core.errors import LibraryUnreadableError, OutsideLibraryError, PartitionKeyError, VideoUnreadableError
from clip_assets.core.library import listing as library
from clip_assets.core.library.listing import (
    FINGERPRINT_BYTES,
    MAX_KEY_BYTES,
    VIDEO_EXTENSIONS,
    Unlisted,
    fingerprint,
    key_for,
    list_videos,
    others_in_words,
    path_for,
    validate_key,
)

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs links and file names that Windows refuses")

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


def make(root: Path, *keys: str) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(key.encode())


def keys_of(root: Path) -> list[str]:
    listing = list_videos(root)
    assert listing.unlisted == ()
    return [video.key for video in listing.videos]


# list_videos


def test_videos_are_listed_sorted_by_key_with_size_and_time(tmp_path: Path):
    make(tmp_path, "b.mp4", "a/z.mkv", "a/b/c.mov", "a.mp4", "B.mp4")
    os.utime(tmp_path / "a/z.mkv", ns=(1, 1_700_000_000_123_000_000))
    videos = list_videos(tmp_path).videos
    assert [video.key for video in videos] == ["B.mp4", "a.mp4", "a/b/c.mov", "a/z.mkv", "b.mp4"]
    assert videos[3].path == tmp_path / "a" / "z.mkv"
    assert videos[3].size == len("a/z.mkv")
    assert videos[3].mtime_ns == 1_700_000_000_123_000_000


@pytest.mark.parametrize("extension", VIDEO_EXTENSIONS)
def test_each_extension_is_listed_in_any_case(tmp_path: Path, extension: str):
    make(tmp_path, f"one{extension}", f"TWO{extension.upper()}")
    assert len(keys_of(tmp_path)) == 2


def test_what_is_no_whole_video_is_skipped(tmp_path: Path):
    partial = ["a.mp4.part", "a.mp4.crdownload", "a.mp4.tmp", "a.mp4~"]
    make(tmp_path, *partial, ".hidden.mp4", ".folder/a.mp4", "a/.b/c.mp4", "._a.mp4", "notes.txt", "mp4", "a.mp4")
    (tmp_path / "folder.mp4").mkdir()
    assert keys_of(tmp_path) == ["a.mp4"]


def test_files_left_out_for_their_ending_are_counted_in_one_line(tmp_path: Path):
    make(tmp_path, "a.mp4", "a.TXT", "b/c.txt", "b/d.jpg", "README", ".hidden", "e.mp4.part")
    (tmp_path / "folder.txt").mkdir()
    listing = list_videos(tmp_path)
    assert dict(listing.others) == {".txt": 2, ".jpg": 1, "": 1, ".part": 1}
    assert others_in_words({".txt": 2, ".jpg": 1, "": 1}) == "4 files left out for their ending: .txt 2, .jpg 1, none 1"
    assert others_in_words({".txt": 1}) == "1 file left out for its ending: .txt 1"
    assert others_in_words({f".{number}": 1 for number in range(10)}).endswith(".7 1, and 2 other endings")
    assert others_in_words({}) == ""


def test_a_file_that_was_named_is_listed_whatever_its_ending(tmp_path: Path):
    make(tmp_path, "a.mp4", "b/take.001", "b/take.002")
    listing = list_videos(tmp_path, {"b/take.001", "gone.003"})
    assert [video.key for video in listing.videos] == ["a.mp4", "b/take.001"]
    assert dict(listing.others) == {".002": 1}


def test_a_hidden_root_is_listed(tmp_path: Path):
    make(tmp_path, ".videos/a.mp4")
    assert keys_of(tmp_path / ".videos") == ["a.mp4"]


def test_a_relative_root_gives_the_same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "videos/a/b.mp4")
    monkeypatch.chdir(tmp_path)
    assert list_videos(Path("videos")).videos[0].path == Path("videos/a/b.mp4")
    assert keys_of(Path("videos")) == ["a/b.mp4"]


@posix_only
def test_linked_folders_and_files_are_followed(tmp_path: Path):
    make(tmp_path, "disk/deep/a.mp4", "disk/b.mp4", "videos/c.mp4")
    (tmp_path / "videos/linked").symlink_to(tmp_path / "disk")
    (tmp_path / "videos/d.mp4").symlink_to(tmp_path / "disk/b.mp4")
    assert keys_of(tmp_path / "videos") == ["c.mp4", "d.mp4", "linked/b.mp4", "linked/deep/a.mp4"]
    assert list_videos(tmp_path / "videos").videos[1].size == len("disk/b.mp4")


@posix_only
def test_links_in_a_circle_end(tmp_path: Path):
    make(tmp_path, "a/x.mp4", "b/y.mp4")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    assert keys_of(tmp_path) == ["a/b/y.mp4", "a/x.mp4", "b/a/x.mp4", "b/y.mp4"]


@posix_only
def test_links_to_nothing_and_to_themselves_are_told(tmp_path: Path):
    make(tmp_path, "a.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "unmounted/gone.mp4")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    listing = list_videos(tmp_path)
    assert [video.key for video in listing.videos] == ["a.mp4"]
    assert [item.key for item in listing.unlisted] == ["gone.mp4", "self"]


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "a/x.mp4", "locked/y.mp4", "z.mp4")
    scandir = os.scandir

    def refusing(folder: os.PathLike[str] | str):
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(library.os, "scandir", refusing)
    listing = list_videos(tmp_path)
    assert [video.key for video in listing.videos] == ["a/x.mp4", "z.mp4"]
    assert listing.unlisted == (Unlisted("locked", "Permission denied"),)


@posix_only
def test_names_that_cannot_be_keys_are_told(tmp_path: Path):
    make(tmp_path, "a.mp4", "b\nc.mp4")
    listing = list_videos(tmp_path)
    assert [video.key for video in listing.videos] == ["a.mp4"]
    assert listing.unlisted[0].key == "b\nc.mp4"
    assert "control character" in listing.unlisted[0].reason


@pytest.mark.parametrize("name", ["missing", "file.mp4"])
def test_a_root_that_is_no_folder_is_an_error_and_not_an_empty_library(tmp_path: Path, name: str):
    make(tmp_path, "file.mp4")
    with pytest.raises(LibraryUnreadableError, match=r"can't be listed.*has to be a folder"):
        list_videos(tmp_path / name)


# Keys


@pytest.mark.parametrize("key", ODD_BUT_ALLOWED)
def test_odd_names_are_keys_as_they_are(tmp_path: Path, key: str):
    validate_key(key)
    assert path_for(tmp_path, key) == tmp_path / key
    assert key_for(tmp_path, tmp_path / key) == key


@pytest.mark.parametrize(("key", "reason"), REFUSED.items(), ids=lambda value: ascii(value)[:20])
def test_what_cannot_be_a_key_is_refused_with_the_reason(tmp_path: Path, key: str, reason: str):
    with pytest.raises(PartitionKeyError, match=reason):
        validate_key(key)
    with pytest.raises(PartitionKeyError, match=reason):
        path_for(tmp_path, key)


def test_the_longest_key_is_allowed():
    key = "/".join(["a" * 250] * 7 + ["b" * 243])
    assert len(key) == MAX_KEY_BYTES
    validate_key(key)


def test_a_backslash_is_refused_only_where_it_separates_folders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(library.os, "sep", "/")
    validate_key("a\\b.mp4")
    monkeypatch.setattr(library.os, "sep", "\\")
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
    path = path_for(tmp_path, key)
    assert PurePosixPath(os.path.normpath(path)).is_relative_to(tmp_path)
    assert path != tmp_path
    assert key_for(tmp_path, path) == key
    assert len(key.splitlines()) == 1
    assert key.encode().decode() == key


def test_listed_keys_lead_back_to_their_files(tmp_path: Path):
    make(tmp_path, "a.mp4", "b/ü.mkv")
    for video in list_videos(tmp_path).videos:
        assert path_for(tmp_path, video.key) == video.path
        assert video.path.read_bytes() == video.key.encode()


def test_relative_roots_and_paths_give_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "videos/a/b.mp4")
    monkeypatch.chdir(tmp_path / "videos")
    assert key_for(Path(), Path("a/b.mp4")) == "a/b.mp4"
    assert key_for(Path("../videos"), Path("a/b.mp4")) == "a/b.mp4"
    assert key_for(tmp_path / "videos", Path("../videos/a/b.mp4")) == "a/b.mp4"
    assert path_for(Path(), "a/b.mp4") == Path("a/b.mp4")


@pytest.mark.parametrize("path", ["other/a.mp4", "videos/../other/a.mp4", "videos-2/a.mp4", "videos"])
def test_a_path_outside_of_the_library_has_no_key(tmp_path: Path, path: str):
    make(tmp_path, "videos/a.mp4")
    with pytest.raises(OutsideLibraryError, match="is not in the library"):
        key_for(tmp_path / "videos", tmp_path / path)


@posix_only
def test_a_linked_folder_of_the_library_gives_keys_and_a_link_into_it_is_resolved(tmp_path: Path):
    make(tmp_path, "disk/a.mp4", "videos/b/c.mp4")
    root = tmp_path / "videos"
    (root / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "shortcut").symlink_to(root / "b")
    assert key_for(root, root / "linked/a.mp4") == "linked/a.mp4"
    assert path_for(root, "linked/a.mp4").read_bytes() == b"disk/a.mp4"
    assert key_for(root, tmp_path / "shortcut/c.mp4") == "b/c.mp4"


@posix_only
def test_dots_after_a_link_lead_where_the_file_system_leads(tmp_path: Path):
    make(tmp_path, "disk/a.mp4", "disk/sub/x.mp4", "videos/a.mp4")
    (tmp_path / "videos/linked").symlink_to(tmp_path / "disk/sub")
    with pytest.raises(OutsideLibraryError, match="is not in the library"):
        key_for(tmp_path / "videos", tmp_path / "videos/linked/../a.mp4")  # disk/a.mp4, not videos/a.mp4


# fingerprint


def test_a_small_file_is_fingerprinted_whole(tmp_path: Path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc")
    assert fingerprint(path) == hashlib.sha256((3).to_bytes(8, "big") + b"abc").hexdigest()


@pytest.mark.parametrize("size", [1, 1000, FINGERPRINT_BYTES])
def test_any_changed_byte_of_a_small_file_shows(tmp_path: Path, size: int):
    content = bytearray(size)
    path = tmp_path / "a.mp4"
    seen = set()
    for position in (None, 0, size // 2, size - 1):
        content[:] = bytes(size)
        if position is not None:
            content[position] = 1
        path.write_bytes(content)
        seen.add(fingerprint(path))
    assert len(seen) == len({None, 0, size // 2, size - 1})


def test_of_a_big_file_size_ends_and_sixteen_even_chunks_count(tmp_path: Path):
    path = tmp_path / "big.mp4"
    size, chunk = 10 * FINGERPRINT_BYTES, FINGERPRINT_BYTES // 16
    starts = [i * (size - chunk) // 15 for i in range(16)]

    def with_byte_at(position: int | None) -> str:
        with path.open("wb") as file:
            file.truncate(size)
            if position is not None:
                file.seek(position)
                file.write(b"x")
        return fingerprint(path)

    unchanged = with_byte_at(None)
    assert starts[-1] + chunk == size
    read = {with_byte_at(position) for start in starts for position in (start, start + chunk - 1)}
    assert len(read) == 32
    assert unchanged not in read
    assert {with_byte_at(start + chunk) for start in starts[:-1]} == {unchanged}  # the documented blind spot
    os.truncate(path, size + 1)
    assert fingerprint(path) != unchanged


def test_a_fingerprint_is_of_the_content_and_not_of_name_or_time(tmp_path: Path):
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    os.utime(second, (0, 0))
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize("name", ["missing.mp4", "folder.mp4"])
def test_what_cannot_be_read_has_no_fingerprint(tmp_path: Path, name: str):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(VideoUnreadableError, match="can't be read"):
        fingerprint(tmp_path / name)
