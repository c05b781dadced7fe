"""Which videos are meant: paths, folders and lists of paths, in order, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from clip_assets.core.errors import SettingsError
from clip_assets.extract.inputs import collect_inputs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("v/b.mp4", "v/a.MP4", "v/deep/c.mkv", "v/notes.txt", "v/.hidden.mp4", "d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(*paths: str, list_file: Path | None = None) -> list[str]:
    inputs = collect_inputs(paths, list_file)
    assert [video.number for video in inputs.videos] == list(range(len(inputs.videos)))
    return [video.name for video in inputs.videos]


def test_a_folder_is_the_videos_below_it_where_it_was_named(folder: Path) -> None:
    assert names("d.mp4", "v", "./gone.mp4") == ["d.mp4", "v/a.MP4", "v/b.mp4", "v/deep/c.mkv", "./gone.mp4"]


def test_a_video_named_twice_is_done_once(folder: Path) -> None:
    assert names("./d.mp4", "d.mp4", str(folder / "d.mp4"), "v/../d.mp4") == ["./d.mp4"]


def test_a_list_may_hold_comments_blank_lines_spaces_and_folders(folder: Path) -> None:
    paths = folder / "paths.txt"
    paths.write_text("\ufeff# mine\r\n\r\nmy clip.mp4\r\n  -x.mp4  \nv/deep\n#d.mp4\nü.mp4", encoding="utf-8")
    assert names(list_file=paths) == ["my clip.mp4", "-x.mp4", "v/deep/c.mkv", "ü.mp4"]


def test_paths_come_before_those_of_the_list(folder: Path) -> None:
    paths = folder / "paths.txt"
    paths.write_text("x.mp4\n")
    assert names("d.mp4", list_file=paths) == ["d.mp4", "x.mp4"]


def test_a_list_that_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"file_with_video_paths=.*gone\.txt can't be read"):
        names(list_file=folder / "gone.txt")


def test_no_video_at_all_is_an_error(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(SettingsError, match="No video in empty"):
        names("empty")


def test_what_a_folder_holds_and_nobody_can_list_is_told(folder: Path) -> None:
    (folder / "v" / "lost.mp4").symlink_to(folder / "nowhere.mp4")
    assert collect_inputs(["v"], None).unlisted == (("v/lost.mp4", "it is a link to nothing"),)


def test_files_of_a_folder_that_are_left_out_are_counted_and_a_named_one_is_taken(folder: Path) -> None:
    inputs = collect_inputs(["v", "v/notes.txt"], None)
    assert inputs.left_out == ("v: 1 file left out for its ending: .txt 1",)
    assert inputs.videos[-1].name == "v/notes.txt"
