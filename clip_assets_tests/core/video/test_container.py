"""Opening files and reading packets where FFmpeg or PyAV behave unexpectedly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clip_assets.core.errors import VideoTimeoutError, VideoUnreadableError
from clip_assets.core.video import check_is_video, probe
from clip_assets.core.video.container import open_video, packets_of
from clip_assets_tests.making import corpus
from clip_assets_tests.making.corpus import Clip


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
    with pytest.raises(VideoUnreadableError, match="it is a folder, not a file"):
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


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("dvd.vob", "mpeg2video", "vob"),
        ("phone.3g2", "libx264", "3g2"),
        ("clip.f4v", "libx264", "f4v"),
        ("clip.divx", "mpeg4", "avi"),
        ("stream.asf", "wmv2", "asf"),
        ("raw.y4m", "wrapped_avframe", "yuv4mpegpipe"),
        ("test.ivf", "libvpx", "ivf"),
        ("clip.nut", "mpeg4", "nut"),
        ("wrong.txt", "libx264", "matroska"),
    ],
)
def test_what_ffmpeg_reads_is_told_by_its_content(name: str, codec: str, container: str, tmp_path: Path) -> None:
    clip = corpus.bare(tmp_path / name, corpus.Recipe(codec=codec, frames=6), container)
    found = probe(clip.path)
    assert (found.frame_count, found.width, found.height, found.damage) == (6, 96, 64, "")
    assert found.duration_ms == pytest.approx(240, abs=1)
    assert not found.times_are_assumed


def test_times_of_a_bare_stream_are_marked_as_assumed(tmp_path: Path) -> None:
    assert probe(corpus.bare_h264(tmp_path / "raspivid.mp4").path).times_are_assumed
    assert not probe(corpus.constant_rate(tmp_path / "constant.mp4").path).times_are_assumed


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("whole.mp4", corpus.encrypted),
        ("fragmented.mp4", partial(corpus.encrypted, movflags="frag_keyframe+empty_moov")),
        ("matroska.mkv", corpus.encrypted_matroska),
        ("scrambled.ts", corpus.scrambled),
    ],
)
def test_an_encrypted_video_is_refused_for_that(name: str, writer: Callable[[Path], Clip], tmp_path: Path) -> None:
    clip = writer(tmp_path / name)
    with pytest.raises(VideoUnreadableError, match=rf"{name}: its video is encrypted"):
        probe(clip.path)


WAV = b"RIFF\x24\0\0\0WAVEfmt "


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (bytes(9000), "it begins with 4096 zero bytes"),
        (b"not a video\n" * 200, "it is a text, no video"),
        ("é".encode() * 5000, "it is a text, no video"),
        (b"\n<!DOCTYPE html><title>404</title>", "it is a web page, no video"),
        (b"PK\x03\x04" + bytes(range(200)), "it is a zip archive, no video"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(99), "it is a PNG picture, no video"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(99), "it is a JPEG picture, no video"),
        (b"ID3\x04\0\0\0\0\0\0" + bytes(99), "it is an MP3 sound, no video"),
        (WAV + bytes(99), "it is a WAV sound, no video"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer: the file itself wasn't fetched"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isommp41\0\0\1\0mdat" + bytes(99), r"its index \(moov\) is missing"),
        (bytes(range(1, 256)) * 40, "FFmpeg can't read this as a video"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_video_is_refused_for_what_it_is(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoUnreadableError, match=rf"clip\.mp4: {reason}"):
        check_is_video(path)


def is_open(path: Path) -> bool:
    """Whether this process has a file open."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("open files can't be listed on this platform")
    return path.resolve() in {link.resolve() for link in folder.iterdir()}
