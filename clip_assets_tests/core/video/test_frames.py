"""Probing and decoding, held to what the corpus wrote into each file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from clip_assets.core.errors import SettingsError, VideoDamagedError, VideoUnreadableError
from clip_assets.core.video import decode, probe
from clip_assets.core.video import frames as video
from clip_assets.core.video import pyav_decoder as video_pyav
from clip_assets.core.video.run import Run
from clip_assets_tests.core.video.test_container import is_open
from clip_assets_tests.making import corpus, corpus_shown, corpus_times
from clip_assets_tests.making.corpus import Clip, read_number

Writer = Callable[[Path], Clip]

# File name -> how it is written.
WHOLE: dict[str, Writer] = {
    "constant.mp4": corpus.constant_rate,
    "constant.mkv": corpus.constant_rate,
    "constant.ts": corpus.constant_rate,
    "constant.avi": corpus.constant_rate,
    "constant.flv": corpus.constant_rate,
    "b_frames.mp4": corpus.b_frames,
    "b_frames.mkv": corpus.b_frames,
    "b_frames.ts": corpus.b_frames,
    "b_frames.avi": corpus.b_frames,
    "ntsc.mp4": corpus.ntsc_rate,
    "ntsc.mkv": corpus.ntsc_rate,
    "variable.mp4": corpus.variable_rate,
    "variable.mkv": corpus.variable_rate,
    "open_gop.mp4": corpus.open_gop,
    "open_gop.mkv": corpus.open_gop,
    "open_gop.ts": corpus.open_gop,
    "intra_refresh.mp4": corpus.intra_refresh,
    "intra_refresh.ts": corpus.intra_refresh,
    "late.mp4": corpus.nonzero_start,
    "late.mkv": corpus.nonzero_start,
    "edit_list.mp4": corpus.edit_list,
    **{
        f"{orientation}.mp4": partial(corpus.turned, orientation=orientation)
        for orientation in corpus.ORIENTATIONS
        if orientation != "upright"
    },
    "odd_size.mp4": corpus.odd_size,
    "odd_size.webm": corpus.odd_size,
    "single.mp4": corpus.single_frame,
    "vp8.webm": corpus.vp8,
    "vp9.webm": corpus.vp9,
    "hevc.mp4": corpus.hevc,
    "hevc.mkv": corpus.hevc,
    "av1.mp4": corpus.av1,
    "av1.mkv": corpus.av1,
    "mpeg4.avi": corpus.mpeg4,
    "mpeg4.mp4": corpus.mpeg4,
    "mpeg2.mpg": corpus.mpeg2,
    "mpeg2.ts": corpus.mpeg2,
    "mpeg2.m2v": corpus.mpeg2,
    "mpeg1.mpg": corpus.mpeg1,
    "wmv.wmv": corpus.wmv,
    "mjpeg.mov": corpus.mjpeg,
    "gif.gif": corpus.gif,
    "fragmented.mp4": corpus.fragmented,
    "ten_bit.mp4": corpus.ten_bit,
    "constant.m2ts": corpus.constant_rate,
    "size_change.ts": corpus.size_change,
    "joined_late.ts": corpus.joined_late,
    "joined_late.mkv": corpus.joined_late,
    "clock_reset.ts": corpus.clock_reset,
    "clock_jumps.ts": partial(corpus_times.joined, starts=[0, 3600]),
    "clock_jumps.mpg": partial(corpus_times.joined, starts=[3600, 0], recipe=corpus_times.MPEG2),
    "fast.mkv": corpus_times.fast,
    "bare_h264.mp4": corpus.bare_h264,
    "bare_60_fps.h264": partial(corpus.bare_h264, rate=60, b_frames=True),
    "bare_hevc.hevc": corpus.bare_hevc,
    "bare.m4v": partial(corpus.bare, recipe=corpus.Recipe(codec="mpeg4", options={"bf": "2"}), container="m4v"),
    "mpeg2.mxf": corpus.mxf,
    "tape.dv": corpus.dv,
    "interlaced.ts": corpus.interlaced,
    "interlaced.mp4": corpus.interlaced,
    "preview_first.mp4": corpus_shown.preview_first,
    "preview_first.mkv": corpus_shown.preview_first,
    "second_default.mkv": corpus_shown.second_default,
    "second_larger.ts": corpus_shown.second_larger,
    "two words.mp4": corpus.constant_rate,
    "-dash.mp4": corpus.constant_rate,
    "a:b.mp4": corpus.constant_rate,
    "видео 動画.mp4": corpus.constant_rate,
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clip]:
    folder = tmp_path_factory.mktemp("corpus")
    written: dict[str, Clip] = {}

    def clip(name: str) -> Clip:
        if name not in written:
            written[name] = WHOLE[name](folder / name)
        return written[name]

    return clip


def half_tick(clip: Clip) -> Fraction:
    """How far a container's rounding may move a time: mkv, webm and flv count milliseconds."""
    coarse = {
        ".mkv": 1000,
        ".webm": 1000,
        ".flv": 1000,
        ".ts": 90_000,
        ".m2ts": 90_000,
        ".mpg": 90_000,
        ".wmv": 1000,
        ".gif": 100,
    }
    return Fraction(1, 2 * coarse[clip.path.suffix]) if clip.path.suffix in coarse else Fraction(0)


@pytest.mark.parametrize("name", WHOLE)
def test_probe_tells_the_times_that_were_written(name: str, clips: Callable[[str], Clip]) -> None:
    clip = clips(name)
    found = probe(clip.path)
    times = [int(tick) * found.time_base for tick in found.pts]
    assert len(times) == len(clip.times)
    assert max(abs(a - b) for a, b in zip(times, clip.times, strict=True)) <= 2 * half_tick(clip)
    assert abs(found.end_pts * found.time_base - clip.end) <= 2 * half_tick(clip)
    assert found.fps == pytest.approx(float(clip.fps), rel=1e-3)
    assert (found.width, found.height, found.rotation) == (clip.width, clip.height, clip.rotation)
    assert found.damage == ""


@pytest.mark.parametrize("name", WHOLE)
def test_decode_gives_each_frame_upright_under_its_index(name: str, clips: Callable[[str], Clip]) -> None:
    clip = clips(name)
    with decode(clip.path, np.arange(len(clip.numbers))) as frames:
        shown = [(frame.index, read_number(frame.rgb)) for frame in frames]
        assert frames.damage == ""
    assert shown == list(enumerate(clip.numbers))


@pytest.mark.parametrize("seek", [1, 1000], ids=["seeking", "dropping"])
@pytest.mark.parametrize("name", WHOLE)
def test_skipping_to_key_frames_gives_the_same_pictures(
    name: str, seek: int, clips: Callable[[str], Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips(name)
    count = len(clip.numbers)
    monkeypatch.setattr(video_pyav, "SKIP_FRAMES", count + 1)
    with decode(clip.path, np.arange(count)) as frames:
        whole = [frame.rgb for frame in frames]
    monkeypatch.setattr(video_pyav, "SKIP_FRAMES", 1)
    monkeypatch.setattr(video_pyav, "SEEK_FRAMES", seek)
    reads = spy_on_reads(monkeypatch)
    rng = np.random.default_rng(0)
    samples = [np.flatnonzero(rng.random(count) < density) for density in (0.05, 0.1, 0.2, 0.4)]
    for wanted in [*samples, np.array([count - 1])]:
        with decode(clip.path, wanted) as frames:
            for index, frame in zip(wanted, frames, strict=True):
                assert frame.index == index
                np.testing.assert_array_equal(frame.rgb, whole[index])
    assert False in reads if name in UNSKIPPABLE else reads == [True] * 5


# Frames can't be told by their times, or key frames aren't whole pictures: everything is decoded.
UNSKIPPABLE = {
    *(name for name in WHOLE if name.endswith((".avi", ".mpg", ".m2v", ".h264", ".hevc"))),
    *("bare_h264.mp4", "clock_jumps.ts", "fast.mkv"),
    *("intra_refresh.mp4", "intra_refresh.ts", "vp8.webm", "interlaced.ts"),
    *("joined_late.ts", "joined_late.mkv", "clock_reset.ts"),
}


def spy_on_reads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each time that a video is read, whether anything may be left out."""
    reads: list[bool] = []
    read = video_pyav.PyAVDecoder._read

    def spy(self: video_pyav.PyAVDecoder, runs: list[Run], *, sparing: bool) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        reads.append(sparing)
        return read(self, runs, sparing=sparing)

    monkeypatch.setattr(video_pyav.PyAVDecoder, "_read", spy)
    return reads


@pytest.mark.parametrize("full_range", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("colorspace", [1, 5, 6])
def test_colours_are_those_that_the_stream_is_tagged_with(colorspace: int, full_range: bool, tmp_path: Path) -> None:
    clip = corpus.coloured(tmp_path / "coloured.mp4", colorspace, full_range=full_range)
    with decode(clip.path, np.array([0])) as frames:
        rgb = next(frames).rgb
    centres = (2 * np.arange(4) + 1) * clip.width // 8
    np.testing.assert_allclose(rgb[clip.height // 2, centres], corpus.COLOURS[0], atol=4)
    assert probe(clip.path).colours == ("BT.709" if colorspace == 1 else "BT.601")


def test_colours_of_which_the_stream_says_nothing_are_said_to_be_assumed(tmp_path: Path) -> None:
    assert "assumed" in probe(corpus.constant_rate(tmp_path / "untagged.mp4").path).colours


@pytest.mark.parametrize(
    ("name", "writer"),
    [
        ("empty.mp4", corpus.zero_bytes),
        ("text.mp4", corpus.text_file),
        ("sound.mp4", corpus.audio_only),
        ("cover.mp4", corpus.cover_art),
        ("no_index.mp4", lambda path: corpus.truncated(path, index_in_front=False).path),
        ("missing.mp4", lambda path: path),
    ],
)
def test_what_is_no_video_is_unreadable(name: str, writer: Callable[[Path], Path], tmp_path: Path) -> None:
    path = writer(tmp_path / name)
    with pytest.raises(VideoUnreadableError, match=name):
        probe(path)


@pytest.mark.parametrize(
    ("name", "keep"), [("cut.mp4", 0.8), ("cut.mkv", 0.8), ("cut.ts", 0.8), ("cut.avi", 0.8), ("cut.flv", 0.5)]
)
def test_a_file_that_ends_early_fails_even_if_its_first_frame_alone_is_asked_for(
    name: str, keep: float, tmp_path: Path
) -> None:
    clip = corpus.truncated(tmp_path / name, index_in_front=True, keep=keep)
    with pytest.raises(VideoDamagedError, match=rf"{name}: .*ends early|{name}: frames are missing"):
        decode(clip.path, np.array([0]))


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_a_file_of_which_only_the_end_is_missing_fails(name: str, tmp_path: Path) -> None:
    clip = corpus.truncated(tmp_path / name, index_in_front=True, keep=0.97)
    with pytest.raises(VideoDamagedError, match="ends early"):
        decode(clip.path, np.array([0]))


def test_a_file_that_ends_early_keeps_what_decodes_and_says_how_much_that_is(tmp_path: Path) -> None:
    clip = corpus.truncated(tmp_path / "cut.mp4", index_in_front=True)
    found = probe(clip.path)
    with decode(found, np.arange(found.frame_count), on_damage="keep") as frames:
        shown = [(frame.index, read_number(frame.rgb)) for frame in frames]
    assert shown == [(index, index) for index in range(9)]
    assert "it holds 9 of the 30 frames" in frames.damage
    assert "9 of its first 10 frames decode" in frames.damage


@pytest.mark.parametrize("name", ["corrupt.mp4", "corrupt.mkv"])
def test_a_corrupt_packet_fails_even_if_frames_beyond_it_alone_are_asked_for(name: str, tmp_path: Path) -> None:
    clip = corpus.corrupt_packet(tmp_path / name, number=13)
    with pytest.raises(VideoDamagedError, match="at most 29 of its 30 frames"):
        decode(clip.path, np.array([29]))


@pytest.mark.parametrize("name", ["corrupt.mp4", "corrupt.mkv"])
def test_a_packet_that_turns_out_corrupt_fails_with_the_number_of_frames_decoded(name: str, tmp_path: Path) -> None:
    clip = corpus.corrupt_packet(tmp_path / name, number=13, whole=False)
    with (
        decode(clip.path, np.arange(1, 30, 3)) as frames,
        pytest.raises(VideoDamagedError, match=r"13 of its 30 frames decoded, then frame 13 at 0\.520 s didn't"),
    ):
        list(frames)


@pytest.mark.parametrize("whole", [True, False], ids=["whole packet", "half"])
@pytest.mark.parametrize("name", ["corrupt.mp4", "corrupt.mkv"])
def test_kept_frames_resume_at_the_key_frame_after_a_corrupt_packet(name: str, whole: bool, tmp_path: Path) -> None:
    clip = corpus.corrupt_packet(tmp_path / name, number=13, whole=whole)
    with decode(clip.path, np.arange(len(clip.numbers)), on_damage="keep") as frames:
        shown = [(frame.index, read_number(frame.rgb)) for frame in frames]
    assert shown == [(index, index) for index in [*range(13), *range(16, 30)]]
    assert "27 of its first 30 frames decode; the first lost one is frame 13 at 0.520 s" in frames.damage


def test_frames_told_by_their_order_alone_are_kept_up_to_the_damage(tmp_path: Path) -> None:
    clip = corpus.corrupt_packet(tmp_path / "corrupt.avi", number=13, whole=False)
    with decode(clip.path, np.arange(len(clip.numbers)), on_damage="keep") as frames:
        shown = [(frame.index, read_number(frame.rgb)) for frame in frames]
    assert shown == [(index, index) for index in range(13)]
    assert "13 of its first 30 frames decode" in frames.damage


def test_frames_that_an_mpeg_ts_file_lost_are_noticed(tmp_path: Path) -> None:
    clip = corpus.constant_rate(tmp_path / "holes.ts")
    packets = np.frombuffer(clip.path.read_bytes(), dtype=np.uint8).reshape(-1, 188)
    clip.path.write_bytes(np.delete(packets, slice(40, 43), axis=0).tobytes())
    with pytest.raises(VideoDamagedError, match=r"holes\.ts: packets are missing: 1 of 27"):
        decode(clip.path, np.array([0]))


def test_indices_that_the_video_has_not_are_refused(clips: Callable[[str], Clip]) -> None:
    path = clips("constant.mp4").path
    for wrong in ([3, 2], [2, 2], [-1], [30]):
        with pytest.raises(SettingsError, match=r"indices"):
            decode(path, np.array(wrong))


def test_a_decoder_or_a_rule_for_damage_that_isnt_there_is_refused(clips: Callable[[str], Clip]) -> None:
    path = clips("constant.mp4").path
    with pytest.raises(SettingsError, match='decoder is "ffmpeg"; allowed are ') as caught:
        decode(path, np.array([0]), decoder="ffmpeg")  # type: ignore[arg-type]
    assert all(f'"{name}"' in str(caught.value) for name in get_args(video.DecoderName))
    with pytest.raises(SettingsError, match='on_damage is "ignore"; allowed are "fail" and "keep"'):
        decode(path, np.array([0]), on_damage="ignore")  # type: ignore[arg-type]


def test_closing_ends_the_stream_and_closes_the_file(clips: Callable[[str], Clip]) -> None:
    path = clips("constant.mp4").path
    frames = decode(path, np.arange(30))
    assert next(frames).index == 0
    assert is_open(path)
    frames.close()
    frames.close()
    assert next(frames, None) is None
    assert not is_open(path)


def test_a_failing_stream_closes_its_file(tmp_path: Path) -> None:
    clip = corpus.corrupt_packet(tmp_path / "corrupt.mp4", whole=False)
    frames = decode(clip.path, np.arange(30))
    with pytest.raises(VideoDamagedError):
        list(frames)
    assert not is_open(clip.path)


def test_the_reference_video_has_its_published_frames_times_and_rate(
    reference_folder: Path, reference_video: Path
) -> None:
    published = reference_folder / "fps=native_batch=1"
    found = video.probe(reference_video)
    times = np.load(published / "timestamps_ms.npy")
    assert found.fps == np.load(published / "fps.npy").item()
    np.testing.assert_allclose(found.timestamps_ms, times, rtol=0, atol=1e-6)
    assert found.duration_ms == pytest.approx(18043.8, abs=0.05)
    with decode(found, np.arange(found.frame_count)) as frames:
        assert sum(1 for _ in frames) == len(times) == 355


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(320, 240, 1), (480, 360, 1), (854, 480, 2), (1920, 1080, 6)]
)
def test_small_pictures_are_decoded_with_fewer_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, height: int, expected: int
) -> None:
    given: list[int] = []

    class Noting(video_pyav.PyAVDecoder):
        def __init__(self, *arguments: object, threads: int, **options: object) -> None:
            given.append(threads)
            super().__init__(*arguments, threads=threads, **options)

    monkeypatch.setattr(video_pyav, "PyAVDecoder", Noting)
    source = replace(probe(corpus.constant_rate(tmp_path / "clip.mp4").path), width=width, height=height)
    decode(source, np.arange(3), threads=6).close()
    assert given == [expected]
