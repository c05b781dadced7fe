"""Clocks that jump are put on one time line, as ffmpeg does; what ffmpeg leaves as it is stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from clip_assets.core.records import VideoProbe
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe
from clip_assets.core.video.clock import CLOCK_MAY_JUMP, Clock
from clip_assets_tests.making import corpus_times
from clip_assets_tests.making.corpus import VP9, X264, X264_B_FRAMES, Recipe, write
from clip_assets_tests.making.corpus_times import MPEG2, counted_through, flagged, joined

FRAME = 3600  # ticks of 1/90000 s at 25 frames a second
HOUR = 3600 * 90_000


def as_ffmpeg(found: VideoProbe, fps: float) -> list[int]:
    return sample(found, Sampling(extraction_fps=fps, frame_selection="ffmpeg")).indices.tolist()


@pytest.mark.parametrize(
    ("name", "starts", "options"),
    [
        ("forward.ts", [0, 3600], {"join": counted_through}),
        ("forward.ts", [0, 3600], {"join": flagged}),
        ("back.ts", [3600, 0], {}),
        ("back_a_little.ts", [0, 0], {"join": counted_through}),
        ("b_frames.ts", [7, 50_000], {"recipe": Recipe(options=X264_B_FRAMES)}),
        ("several.m2ts", [0, 3600, 20, 0], {}),
        ("forward.mpg", [0, 3600], {"recipe": MPEG2}),
        ("back.vob", [3600, 0], {"recipe": MPEG2}),
        ("just_over_ten_seconds.ts", [0, 11], {}),
    ],
)
def test_joined_parts_follow_each_other_without_a_gap(
    name: str, starts: list[int], options: dict[str, Any], tmp_path: Path
) -> None:
    clip = joined(tmp_path / name, starts, **options)
    found = probe(clip.path)
    np.testing.assert_allclose(found.timestamps_ms, [float(time * 1000) for time in clip.times], atol=0.02)
    assert (found.duration_ms, found.fps) == (pytest.approx(float(clip.end * 1000), abs=0.02), 25)
    assert found.damage == ""


def test_ffmpegs_frames_of_joined_parts_are_those_that_ffmpeg_gives(tmp_path: Path) -> None:
    """`ffmpeg -i FILE -vf fps=N -f framemd5 -`, of each part 30 frames."""
    for name, recipe in (("forward.ts", None), ("forward.mpg", MPEG2)):
        found = probe(joined(tmp_path / name, [0, 3600], recipe, part_frames=30).path)
        assert as_ffmpeg(found, 1) == [12, 37]
        assert as_ffmpeg(found, 3) == [4, 12, 20, 29, 37, 45, 54]


def test_a_gap_of_less_than_ten_seconds_stays(tmp_path: Path) -> None:
    found = probe(joined(tmp_path / "pause.ts", [0, 8], join=counted_through).path)
    assert np.diff(found.timestamps_ms)[14] == pytest.approx(8000 - 14 * 40)
    assert len(found.keyframes) > 0


def test_time_stamps_that_run_out_of_bits_are_no_jump(tmp_path: Path) -> None:
    clip = corpus_times.wrapping(tmp_path / "wrap.ts")
    found = probe(clip.path)
    np.testing.assert_allclose(found.timestamps_ms, np.arange(30) * 40.0)
    assert len(found.keyframes) > 0


@pytest.mark.parametrize(
    ("name", "recipe", "rate"),
    [
        ("b_frames.mkv", Recipe(options=X264_B_FRAMES), 2000),
        ("vp9.webm", VP9, 3000),
        ("h264.flv", Recipe(options=X264), 1500),
    ],
)
def test_frames_that_share_ticks_are_told_apart(name: str, recipe: Recipe, rate: int, tmp_path: Path) -> None:
    clip = write(tmp_path / name, replace(recipe, rate=Fraction(rate)))
    found = probe(clip.path)
    np.testing.assert_allclose(found.timestamps_ms, [float(time * 1000) for time in clip.times], atol=1e-9)
    assert (found.duration_ms, found.fps) == (pytest.approx(float(clip.end * 1000)), rate)


@dataclass
class Packet:
    """As much of a packet as a clock looks at."""

    stream_index: int
    pts: int | None
    dts: int | None
    duration: int = FRAME


def set_right(packets: list[Packet], *, may_jump: bool = True) -> list[Packet]:
    """Streams: 0 is the video, 1 its sound (frames of 1024 samples at 51200 Hz, 20 ms), 2 has subtitles."""
    video = SimpleNamespace(index=0, type="video", time_base=Fraction(1, 90_000), codec_context=None)
    codec = SimpleNamespace(frame_size=1024, sample_rate=51_200)
    sound = SimpleNamespace(index=1, type="audio", time_base=Fraction(1, 90_000), codec_context=codec)
    words = SimpleNamespace(index=2, type="subtitle", time_base=Fraction(1, 90_000), codec_context=None)

    class Streams(list[Any]):
        def best(self, kind: str, related: object) -> object:
            return sound if (kind, related) == ("audio", video) else None

    container = SimpleNamespace(
        format=SimpleNamespace(flags=CLOCK_MAY_JUMP * may_jump), streams=Streams([video, sound, words])
    )
    clock = Clock(cast("Any", container), cast("Any", video))
    made = [replace(packet) for packet in packets]
    for packet in made:
        clock.set_right(cast("Any", packet))
    return made


def stream(index: int, first: int, count: int, step: int = FRAME) -> list[Packet]:
    times = range(first, first + count * step, step)
    return [Packet(index, time, time, step) for time in times]


def pts_of(packets: list[Packet], index: int) -> list[int | None]:
    return [packet.pts for packet in packets if packet.stream_index == index]


def test_a_jump_is_taken_out_of_every_stream() -> None:
    made = set_right([*stream(0, 0, 3), Packet(2, 0, 0), *stream(0, HOUR, 3), Packet(2, HOUR, None)])
    assert pts_of(made, 0) == [number * FRAME for number in range(6)]
    assert pts_of(made, 2) == [0, 3 * FRAME]


def test_a_clock_of_the_sound_that_jumps_alone_leaves_the_pictures_where_they_were() -> None:
    pictures, sound = stream(0, 0, 8), [*stream(1, 0, 4, 1800), *stream(1, HOUR, 4, 1800)]
    made = set_right([packet for pair in zip(pictures, sound, strict=True) for packet in pair])
    assert pts_of(made, 0) == [number * FRAME for number in range(8)]
    assert pts_of(made, 1) == [number * 1800 for number in range(8)]


def test_a_video_that_starts_late_is_not_moved_relative_to_itself() -> None:
    made = set_right([*stream(1, 0, 3, 1800), *stream(0, 20 * 90_000, 4), *stream(1, 3 * 1800, 3, 1800)])
    assert np.diff(cast("Any", pts_of(made, 0))).tolist() == [FRAME] * 3


def test_a_step_back_of_a_tenth_of_a_second_stays_and_a_longer_one_is_closed() -> None:
    kept = [*stream(0, 9 * FRAME, 4), *stream(0, 10 * FRAME, 2)]
    assert set_right(kept) == kept
    made = set_right([*stream(0, 9 * FRAME, 4), *stream(0, 9 * FRAME, 2)])
    assert pts_of(made, 0) == [number * FRAME for number in range(9, 15)]


def test_packets_without_times_count_by_their_duration() -> None:
    made = set_right([*stream(0, 0, 2), *[Packet(0, None, None)] * 3, *stream(0, HOUR, 1)])
    assert pts_of(made, 0)[-1] == 5 * FRAME


def test_in_other_formats_a_time_that_is_off_by_days_does_not_count() -> None:
    odd = stream(0, 40 * HOUR, 1)
    made = set_right([*stream(0, 0, 2), *odd, *stream(0, 3 * FRAME, 1)], may_jump=False)
    assert pts_of(made, 0) == [0, FRAME, None, 3 * FRAME]
    day = [*stream(0, 0, 2), *stream(0, 20 * HOUR, 2)]
    assert set_right(day, may_jump=False) == day
