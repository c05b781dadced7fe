"""Opening files and reading packets where FFmpeg or PyAV behave unexpectedly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clip_assets.core.errors import VideoTimeoutError, VideoUnreadableError
from clip_assets.core.video import probe
from clip_assets.core.video_container import open_video, packets_of
from clip_assets_tests import corpus


def test_a_stream_that_appears_late_doesnt_break_off_reading() -> None:
    class Container:
        """PyAV's way to end when a stream appeared after the file was opened."""

        def demux(self) -> Iterator[Any]:
            yield SimpleNamespace(size=7)
            raise IndexError("list index out of range")

    assert [packet.size for packet in packets_of(Container())] == [7]


def test_reading_that_takes_too_long_is_a_timeout(tmp_path: Path) -> None:
    clip = corpus.constant_rate(tmp_path / "constant.mp4")
    with pytest.raises(VideoTimeoutError, match=r"constant\.mp4.*1e-09 s"):
        probe(clip.path, timeout_seconds=1e-9)


@pytest.mark.parametrize("content", ["#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile '{}'\n"])
def test_a_playlist_named_like_a_video_opens_no_other_file(content: str, tmp_path: Path) -> None:
    clip = corpus.constant_rate(tmp_path / "constant.mp4")
    playlist = tmp_path / "playlist.mp4"
    playlist.write_text(content.format(clip.path.name))
    with pytest.raises(VideoUnreadableError, match=r"playlist\.mp4"):
        probe(playlist)


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(VideoUnreadableError, match="no file of that name"):
        probe(tmp_path)


def test_a_title_that_isnt_utf8_doesnt_matter(tmp_path: Path) -> None:
    path = tmp_path / "title.mkv"
    corpus.write(path, corpus.Recipe(options=corpus.X264, title="TITLE"))
    path.write_bytes(path.read_bytes().replace(b"TITLE", b"caf\xe9!"))
    assert probe(path).frame_count == corpus.FRAMES


def test_the_file_is_closed_when_opening_it_fails_later_on(tmp_path: Path) -> None:
    sound = corpus.audio_only(tmp_path / "sound.mp4")
    with pytest.raises(VideoUnreadableError), open_video(sound, 5):
        pass
    assert not is_open(sound)


def is_open(path: Path) -> bool:
    """Whether this process has a file open."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("open files can't be listed on this platform")
    return path.resolve() in {link.resolve() for link in folder.iterdir()}
