"""A folder of videos on a real disk: what is listed, and which key names which file."""

import os
import sys
from pathlib import Path

import pytest

from clip_assets.core.errors import LibraryUnreadableError, OutsideLibraryError
from clip_assets.core.library import folder as library
from clip_assets.core.library.folder import Folder
from clip_assets.core.library.listing import VIDEO_EXTENSIONS, Unlisted, others_in_words

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs links and file names that Windows refuses")


def make(root: Path, *keys: str) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(key.encode())


def keys_of(root: Path) -> list[str]:
    listing = Folder(root).listing()
    assert listing.unlisted == ()
    return [video.key for video in listing.videos]


def test_videos_are_listed_sorted_by_key_with_size_and_time(tmp_path: Path):
    make(tmp_path, "b.mp4", "a/z.mkv", "a/b/c.mov", "a.mp4", "B.mp4")
    os.utime(tmp_path / "a/z.mkv", ns=(1, 1_700_000_000_123_000_000))
    videos = Folder(tmp_path).listing().videos
    assert [video.key for video in videos] == ["B.mp4", "a.mp4", "a/b/c.mov", "a/z.mkv", "b.mp4"]
    assert videos[3].key == "a/z.mkv"
    assert videos[3].size == len("a/z.mkv")
    assert videos[3].mtime_ns == 1_700_000_000_123_000_000
    signatures = {video.key: video.signature for video in videos}
    assert signatures == Folder(tmp_path).signatures(list(signatures)), "whoever has listed need not ask again"


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
    listing = Folder(tmp_path).listing()
    assert dict(listing.others) == {".txt": 2, ".jpg": 1, "": 1, ".part": 1}
    assert others_in_words({".txt": 2, ".jpg": 1, "": 1}) == "4 files left out for their ending: .txt 2, .jpg 1, none 1"
    assert others_in_words({".txt": 1}) == "1 file left out for its ending: .txt 1"
    assert others_in_words({f".{number}": 1 for number in range(10)}).endswith(".7 1, and 2 other endings")
    assert others_in_words({}) == ""


def test_a_file_that_was_named_is_listed_whatever_its_ending(tmp_path: Path):
    make(tmp_path, "a.mp4", "b/take.001", "b/take.002")
    listing = Folder(tmp_path).listing({"b/take.001", "gone.003"})
    assert [video.key for video in listing.videos] == ["a.mp4", "b/take.001"]
    assert dict(listing.others) == {".002": 1}


def test_a_hidden_root_is_listed(tmp_path: Path):
    make(tmp_path, ".videos/a.mp4")
    assert keys_of(tmp_path / ".videos") == ["a.mp4"]


def test_a_relative_root_gives_the_same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "videos/a/b.mp4")
    monkeypatch.chdir(tmp_path)
    assert Folder(Path("videos")).listing().videos[0].key == "a/b.mp4"
    assert keys_of(Path("videos")) == ["a/b.mp4"]


@posix_only
def test_linked_folders_and_files_are_followed(tmp_path: Path):
    make(tmp_path, "disk/deep/a.mp4", "disk/b.mp4", "videos/c.mp4")
    (tmp_path / "videos/linked").symlink_to(tmp_path / "disk")
    (tmp_path / "videos/d.mp4").symlink_to(tmp_path / "disk/b.mp4")
    assert keys_of(tmp_path / "videos") == ["c.mp4", "d.mp4", "linked/b.mp4", "linked/deep/a.mp4"]
    assert Folder(tmp_path / "videos").listing().videos[1].size == len("disk/b.mp4")


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
    listing = Folder(tmp_path).listing()
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
    listing = Folder(tmp_path).listing()
    assert [video.key for video in listing.videos] == ["a/x.mp4", "z.mp4"]
    assert listing.unlisted == (Unlisted("locked", "Permission denied"),)


@posix_only
def test_names_that_cannot_be_keys_are_told(tmp_path: Path):
    make(tmp_path, "a.mp4", "b\nc.mp4")
    listing = Folder(tmp_path).listing()
    assert [video.key for video in listing.videos] == ["a.mp4"]
    assert listing.unlisted[0].key == "b\nc.mp4"
    assert "control character" in listing.unlisted[0].reason


@pytest.mark.parametrize("name", ["missing", "file.mp4"])
def test_a_root_that_is_no_folder_is_an_error_and_not_an_empty_library(tmp_path: Path, name: str):
    make(tmp_path, "file.mp4")
    with pytest.raises(LibraryUnreadableError, match=r"can't be listed.*has to be a folder"):
        Folder(tmp_path / name).listing()


def test_listed_keys_lead_back_to_their_files(tmp_path: Path):
    make(tmp_path, "a.mp4", "b/ü.mkv")
    for video in Folder(tmp_path).listing().videos:
        assert Folder(tmp_path).path(video.key).read_bytes() == video.key.encode()


def test_relative_roots_and_paths_give_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path, "videos/a/b.mp4")
    monkeypatch.chdir(tmp_path / "videos")
    assert Folder(Path()).key_for(Path("a/b.mp4")) == "a/b.mp4"
    assert Folder(Path("../videos")).key_for(Path("a/b.mp4")) == "a/b.mp4"
    assert Folder(tmp_path / "videos").key_for(Path("../videos/a/b.mp4")) == "a/b.mp4"
    assert Folder(Path()).path("a/b.mp4") == Path("a/b.mp4")


@pytest.mark.parametrize("path", ["other/a.mp4", "videos/../other/a.mp4", "videos-2/a.mp4", "videos"])
def test_a_path_outside_of_the_library_has_no_key(tmp_path: Path, path: str):
    make(tmp_path, "videos/a.mp4")
    with pytest.raises(OutsideLibraryError, match="is not in the library"):
        Folder(tmp_path / "videos").key_for(tmp_path / path)


@posix_only
def test_a_linked_folder_of_the_library_gives_keys_and_a_link_into_it_is_resolved(tmp_path: Path):
    make(tmp_path, "disk/a.mp4", "videos/b/c.mp4")
    root = tmp_path / "videos"
    (root / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "shortcut").symlink_to(root / "b")
    assert Folder(root).key_for(root / "linked/a.mp4") == "linked/a.mp4"
    assert Folder(root).path("linked/a.mp4").read_bytes() == b"disk/a.mp4"
    assert Folder(root).key_for(tmp_path / "shortcut/c.mp4") == "b/c.mp4"


@posix_only
def test_dots_after_a_link_lead_where_the_file_system_leads(tmp_path: Path):
    make(tmp_path, "disk/a.mp4", "disk/sub/x.mp4", "videos/a.mp4")
    (tmp_path / "videos/linked").symlink_to(tmp_path / "disk/sub")
    with pytest.raises(OutsideLibraryError, match="is not in the library"):
        Folder(tmp_path / "videos").key_for(tmp_path / "videos/linked/../a.mp4")  # disk/a.mp4, not videos/a.mp4
