"""The saved files: their names, what they hold, and that nothing made from something else is overwritten."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from clip_assets.core.errors import ResultUnwritableError, SettingsError
from clip_assets.extract.files import ResultFiles, Standing, read_arrays, result_files, standing, write_result
from clip_assets.extract.inputs import Video
from clip_assets.extract.options import ExtractOptions

ARRAYS = {
    "clip": np.arange(6, dtype=np.float32).reshape(3, 2),
    "fps": np.asarray(25.0),
    "timestamps_ms": np.array([0.0, 40.0, 80.0]),
}
MADE_FROM = {"source": "abc", "extraction_fps": 5.0, "model_name": "ViT-B/32"}


@pytest.fixture(params=[".npy", ".pkl"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> ResultFiles:
    return ResultFiles(tmp_path / "out", "a", request.param)


def save(files: ResultFiles, **changes: object) -> None:
    write_result(files, ARRAYS, {**MADE_FROM, **changes}, {"frames": 3})


def targets(*names: str, **options: object) -> dict[str, Path]:
    made = result_files(
        ExtractOptions(on_extraction="save_numpy", **options),
        "ViT-B/32",
        [Video(number, name) for number, name in enumerate(names)],
    )
    return {video.name: place.folder / place.names["clip"] for video, place in made.items()}


def test_files_are_named_by_the_stem_in_the_output_folder(tmp_path: Path) -> None:
    assert targets("x/a.b.mp4", output_path=tmp_path) == {"x/a.b.mp4": tmp_path / "a.b_clip.npy"}


def test_the_originals_layout_has_a_folder_for_the_model(tmp_path: Path) -> None:
    made = targets("a.mp4", output_path=tmp_path, layout="video_features")
    assert made == {"a.mp4": tmp_path / "clip" / "ViT-B_32" / "a_clip.npy"}


def test_two_videos_of_one_stem_are_an_error_that_names_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"x/a\.mp4 and y/a\.avi would both .*--keep-tree"):
        targets("x/a.mp4", "y/a.avi", output_path=tmp_path)
    with pytest.raises(SettingsError, match=r"x/a\.mp4 and x/a\.avi would both .*Rename one"):
        targets("x/a.mp4", "x/a.avi", output_path=tmp_path, keep_tree=True)


def test_a_kept_tree_is_that_below_the_working_directory_or_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    outside = str(tmp_path / "there" / "a.mp4")
    assert targets("x/a.mp4", "./a.mp4", "../here/y/a.mp4", outside, output_path=tmp_path, keep_tree=True) == {
        "x/a.mp4": tmp_path / "x" / "a_clip.npy",
        "./a.mp4": tmp_path / "a_clip.npy",
        "../here/y/a.mp4": tmp_path / "y" / "a_clip.npy",
        outside: tmp_path / Path(outside).parent.relative_to("/") / "a_clip.npy",
    }


def test_arrays_come_back_as_they_were_saved(files: ResultFiles) -> None:
    save(files)
    read = read_arrays(files)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype
    assert {path.name for path in files.folder.iterdir()} == {*files.names.values(), "a_clip.json"}


def test_video_features_own_ways_of_reading_work(tmp_path: Path) -> None:
    save(ResultFiles(tmp_path, "a", ".npy"))
    save(ResultFiles(tmp_path, "a", ".pkl"))
    np.testing.assert_array_equal(np.load(tmp_path / "a_clip.npy"), ARRAYS["clip"])
    np.testing.assert_array_equal(pickle.loads((tmp_path / "a_clip.pkl").read_bytes()), ARRAYS["clip"])
    assert np.load(tmp_path / "a_fps.npy").shape == ()


def test_what_was_made_from_the_same_is_recognised(files: ResultFiles) -> None:
    assert standing(files, MADE_FROM).state == "absent"
    save(files)
    assert standing(files, MADE_FROM).state == "equal"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": "def"}, "made from other bytes of the video"),
        ({"extraction_fps": 1.0}, "extraction_fps 1.0, wanted 5.0"),
        ({"model_name": "RN50"}, "model_name RN50, wanted ViT-B/32"),
    ],
)
def test_what_was_made_from_something_else_is_told_apart(
    files: ResultFiles, changes: dict[str, object], reason: str
) -> None:
    save(files, **changes)
    found = standing(files, MADE_FROM)
    assert found.state == "other"
    assert found.reason == reason


def test_files_of_unknown_origin_count_as_something_else(files: ResultFiles) -> None:
    save(files)
    files.note.write_text("{}")
    assert standing(files, MADE_FROM).state == "other"
    files.note.unlink()
    assert standing(files, MADE_FROM).reason == "no whole a_clip.json says what they were made from"


def test_a_file_that_someone_changed_is_not_taken_for_ours(files: ResultFiles) -> None:
    save(files)
    name = files.names["clip"]
    (files.folder / name).write_bytes(b"edited")
    assert standing(files, MADE_FROM) == Standing("other", f"{name} changed since")


def test_a_set_of_files_that_lacks_one_is_made_again(files: ResultFiles) -> None:
    save(files)
    (files.folder / files.names["fps"]).unlink()
    assert standing(files, MADE_FROM).state == "absent"


def test_the_other_format_of_the_same_stays_and_of_something_else_goes(tmp_path: Path) -> None:
    numpy, pickled = ResultFiles(tmp_path, "a", ".npy"), ResultFiles(tmp_path, "a", ".pkl")
    save(numpy)
    save(pickled)
    assert [standing(files, MADE_FROM).state for files in (numpy, pickled)] == ["equal", "equal"]
    save(pickled, source="def")
    assert not (tmp_path / "a_clip.npy").exists()
    assert standing(pickled, {**MADE_FROM, "source": "def"}).state == "equal"


def test_a_note_that_lists_files_of_others_removes_none(files: ResultFiles, tmp_path: Path) -> None:
    save(files)
    precious = tmp_path / "precious"
    precious.touch()
    note = json.loads(files.note.read_text())
    files.note.write_text(json.dumps({**note, "parameters": {}, "files": {"../precious": "0"}}))
    save(files)
    assert precious.exists()


@pytest.mark.parametrize("position", range(4))
def test_a_write_that_ends_early_leaves_whole_files_and_no_note_of_others(
    files: ResultFiles, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(files, source="old")
    replaced = 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal replaced
        if replaced == position:
            raise OSError(28, "No space left on device")
        replaced += 1
        return original(self, target)

    original = Path.replace
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(ResultUnwritableError, match="can't be written: No space left"):
        save(files)
    assert read_arrays(files).keys() == ARRAYS.keys()
    assert standing(files, MADE_FROM).state == "other"
    assert {path.name for path in files.folder.iterdir()} == set(files.names.values())
