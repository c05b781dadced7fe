"""One reading of a file serves until the file is another."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock, patch

import pytest

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.library import folder
from clip_assets.core.library.folder import Folder
from clip_assets.core.video import readings
from clip_assets.core.video.readings import Readings
from clip_assets_tests.making import corpus

READ = pytest.mark.parametrize("name", ["fingerprint", "probe"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "a.mp4"
    corpus.single_frame(path)
    return path


@pytest.fixture
def video(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "a.mp4"))


PLACES = {"fingerprint": folder, "probe": readings}
"""Whose name is called to read a file."""


def watched(name: str) -> Mock:
    return patch.object(PLACES[name], name, wraps=getattr(PLACES[name], name))


def read_by(video: Path, name: str) -> Callable[[Path], object]:
    """Readings of videos of one folder, by path."""
    read: Callable[[str], object] = getattr(Readings(Folder(video.parent)), name)
    return lambda path: read(path.name)


@READ
def test_a_file_that_stays_is_read_once(video: Path, name: str) -> None:
    read = read_by(video, name)
    with watched(name) as reading:
        assert read(video) == read(video) == read(video)
    assert reading.call_count == 1


@READ
def test_a_file_that_was_written_to_is_read_again(video: Path, name: str) -> None:
    read = read_by(video, name)
    with watched(name) as reading:
        read(video)
        os.utime(video, ns=(0, 1))
        read(video)
        video.write_bytes(video.read_bytes() + b"\0\0\0\x08free")
        os.utime(video, ns=(0, 1))
        read(video)
    assert reading.call_count == 3


@READ
def test_a_file_that_is_written_to_while_it_is_read_is_read_again(video: Path, name: str) -> None:
    read = read_by(video, name)
    reading = getattr(PLACES[name], name)

    def meanwhile(path: Path, **options: object) -> object:
        result = reading(path, **options)
        os.utime(path, ns=(0, 1))
        return result

    with patch.object(PLACES[name], name, side_effect=meanwhile):
        read(video)
    with watched(name) as again:
        read(video)
    assert again.call_count == 1


@READ
def test_a_file_that_is_gone_is_an_error_though_it_was_read(video: Path, name: str) -> None:
    read = read_by(video, name)
    read(video)
    video.unlink()
    with pytest.raises(VideoUnreadableError, match=r"a\.mp4 can't be read: No such file"):
        read(video)


def test_an_error_is_not_kept(video: Path, made: Path, tmp_path: Path) -> None:
    kept = Readings(Folder(tmp_path))
    corpus.text_file(video)
    os.utime(video, ns=(0, 1))
    with pytest.raises(VideoUnreadableError):
        kept.probe("a.mp4")
    shutil.copy(made, video)
    assert kept.probe("a.mp4").frame_count == 1


def test_probes_are_kept_up_to_a_number_of_frames(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "MAX_FRAMES", 2)
    videos = [Path(shutil.copy(made, tmp_path / f"{number}.mp4")) for number in range(3)]
    kept = Readings(Folder(tmp_path))
    with watched("probe") as reading:
        for path in [*videos, *videos]:
            kept.probe(path.name)
        os.utime(videos[0], ns=(0, 1))  # the new takes the place of the old
        for path in [videos[0], *videos]:
            kept.probe(path.name)
    assert [call.args[0].name for call in reading.call_args_list] == [
        *("0.mp4", "1.mp4", "2.mp4"),
        "2.mp4",
        *("0.mp4", "2.mp4"),
    ]


def test_the_timeout_reaches_the_reading(video: Path) -> None:
    with watched("probe") as reading:
        Readings(Folder(video.parent)).probe("a.mp4", timeout_seconds=7.0)
    assert reading.call_args.kwargs == {"timeout_seconds": 7.0}


def test_a_time_that_the_next_writing_could_have_too_is_not_noted(video: Path, tmp_path: Path) -> None:
    kept = Readings(Folder(tmp_path))
    now = time.time_ns()
    for mtime_ns, is_noted in ((now - 10**10, True), (now, False), (now + 10**10, False), (now - 2 * 10**10, True)):
        os.utime(video, ns=(now, mtime_ns))
        kept.fingerprint("a.mp4")
        assert (kept.source_stat("a.mp4") is not None) == is_noted
