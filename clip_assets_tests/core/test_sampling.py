"""Sampling against brute force in Fractions, the reference example, and ffmpeg's own fps filter."""

from bisect import bisect_right
from dataclasses import asdict, replace
from fractions import Fraction
from math import ceil, floor
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clip_assets.core.errors import SamplingError
from clip_assets.core.records import FrameIndices, VideoProbe
from clip_assets.core.sampling import MAX_SAMPLES, Sampling, sample

RATES = ["0.1", "0.3", "1", "2.5", "5", "15", "23.976", "24000/1001", "25", "29.97", "30000/1001", "60", "120"]
TIME_BASES = [Fraction(1, d) for d in (10, 981, 1000, 1001, 12800, 30000, 90000, 10**6, 10**9)] + [
    Fraction(1001, 30000)
]


def make_probe(pts: list[int] | np.ndarray, end_pts: int, time_base: Fraction) -> VideoProbe:
    return VideoProbe(
        path=Path("video.mp4"),
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        width=320,
        height=240,
        rotation=0,
        pts=np.asarray(pts, dtype=np.int64),
        end_pts=end_pts,
        packets_end_pts=end_pts,
        start_pts=0,
        time_base=time_base,
        fps=float(len(pts) / (end_pts * time_base)),
        has_edit_list=False,
        keyframes=np.zeros(0, dtype=np.int64),
    )


def published() -> VideoProbe:
    """The pattern of video_features' sample: 355 frames, 50 ticks of 1/981 s apart, the end one tick after the last."""
    return make_probe(np.arange(355) * 50, end_pts=17701, time_base=Fraction(1, 981))


@st.composite
def probes(draw: st.DrawFn) -> VideoProbe:
    """Videos of constant and variable rate of 1 to 40 frames, 1 to 200 fps."""
    time_base = draw(st.sampled_from(TIME_BASES))
    shortest, longest = max(1, floor(Fraction(1, 200) / time_base)), max(2, floor(1 / time_base))
    frame_durations = draw(
        st.one_of(
            st.lists(st.integers(shortest, longest), min_size=1, max_size=40),
            st.builds(lambda ticks, count: [ticks] * count, st.integers(shortest, longest), st.integers(1, 40)),
        )
    )
    ends = np.cumsum(frame_durations)
    return make_probe([0, *ends[:-1].tolist()], int(ends[-1]), time_base)


rates = st.one_of(st.sampled_from([float(Fraction(rate)) for rate in RATES]), st.floats(0.05, 250), st.integers(1, 250))


def frame_at(probe: VideoProbe, seconds: Fraction) -> int:
    return bisect_right(probe.pts.tolist(), seconds, key=lambda pts: pts * probe.time_base) - 1


def assert_sound(sampled: FrameIndices, probe: VideoProbe) -> None:
    assert sampled.indices.dtype == np.int64
    assert sampled.timestamps_ms.dtype == sampled.source_timestamps_ms.dtype == np.float64
    assert len(sampled.indices) == len(sampled.timestamps_ms) == len(sampled.source_timestamps_ms) > 0
    assert (np.diff(sampled.indices) >= 0).all()
    assert sampled.indices[0] >= 0
    assert sampled.indices[-1] < probe.frame_count
    assert sampled.timestamps_ms[0] == 0
    assert (np.diff(sampled.timestamps_ms) > 0).all()
    exact = [float(pts * probe.time_base * 1000) for pts in probe.pts[sampled.indices].tolist()]
    np.testing.assert_allclose(sampled.source_timestamps_ms, exact, rtol=1e-15)


# What each mode gives on the published example


def test_every_frame_of_the_reference_keeps_its_own_time():
    sampled = sample(published(), Sampling())
    assert sampled.indices.tolist() == list(range(355))
    np.testing.assert_allclose(sampled.timestamps_ms[[1, -2, -1]], [50.96839959, 17991.84505607, 18042.81345566])
    np.testing.assert_array_equal(sampled.source_timestamps_ms, sampled.timestamps_ms)


def test_five_fps_on_screen_of_the_reference_reaches_the_last_grid_time_before_the_end():
    sampled = sample(published(), Sampling(extraction_fps=5))
    assert sampled.timestamps_ms.tolist() == [200.0 * k for k in range(91)]
    assert sampled.indices[:4].tolist() == [0, 3, 7, 11]  # at 0, 152.9, 356.8 and 560.7 ms
    assert sampled.indices[-1] == 353  # at 17991.8 ms


def test_five_fps_as_ffmpeg_of_the_reference_has_the_published_rows():
    sampled = sample(published(), Sampling(extraction_fps=5, frame_selection="ffmpeg"))
    assert sampled.timestamps_ms.tolist() == [200.0 * k for k in range(90)]


def test_total_of_the_reference_is_evenly_spaced_from_the_first_frame():
    sampled = sample(published(), Sampling(extraction_total=16))
    np.testing.assert_allclose(sampled.timestamps_ms, np.arange(16) * (17701 / 981 * 1000 / 16), rtol=1e-15)
    assert sampled.indices[[0, 1, -1]].tolist() == [0, 22, 331]


def test_the_source_is_described_by_the_sample():
    probe = published()
    sampled = sample(probe, Sampling(extraction_fps=1))
    assert (sampled.fps, sampled.frame_count, sampled.width, sampled.height) == (probe.fps, 355, 320, 240)
    assert sampled.duration_ms == pytest.approx(18043.8, abs=0.05)


# Invariants and oracles


@given(probes())
def test_every_frame_is_the_video_itself(probe: VideoProbe):
    sampled = sample(probe, Sampling())
    assert_sound(sampled, probe)
    assert sampled.indices.tolist() == list(range(probe.frame_count))
    np.testing.assert_array_equal(sampled.timestamps_ms, sampled.source_timestamps_ms)


@given(probes(), rates)
def test_on_screen_takes_the_last_frame_at_or_before_each_grid_time(probe: VideoProbe, fps: float):
    sampling = Sampling(extraction_fps=fps)
    sampled = sample(probe, sampling)
    assert_sound(sampled, probe)
    grid = [k / sampling.rate for k in range(ceil(probe.end_pts * probe.time_base * sampling.rate))]
    assert grid[-1] < probe.end_pts * probe.time_base <= grid[-1] + 1 / sampling.rate
    assert sampled.indices.tolist() == [frame_at(probe, seconds) for seconds in grid]
    assert sampled.timestamps_ms.tolist() == [float(seconds * 1000) for seconds in grid]
    assert (sampled.source_timestamps_ms <= sampled.timestamps_ms).all()


@given(probes(), st.data())
def test_total_takes_the_last_frame_at_or_before_each_even_share(probe: VideoProbe, data: st.DataObject):
    total = data.draw(st.integers(1, probe.frame_count))
    sampled = sample(probe, Sampling(extraction_total=total))
    assert_sound(sampled, probe)
    grid = [k * probe.end_pts * probe.time_base / total for k in range(total)]
    assert sampled.indices.tolist() == [frame_at(probe, seconds) for seconds in grid]
    assert sampled.timestamps_ms.tolist() == [float(seconds * 1000) for seconds in grid]
    assert (sampled.source_timestamps_ms <= sampled.timestamps_ms).all()


@given(probes(), rates, st.sampled_from(["on_screen", "ffmpeg"]))
def test_a_sample_is_the_same_each_time(probe: VideoProbe, fps: float, frame_selection: str):
    assume(probe.duration_ms / 1000 * fps >= 1)
    first, second = (sample(probe, Sampling(fps, frame_selection=frame_selection)) for _ in range(2))
    for name, value in asdict(first).items():
        np.testing.assert_array_equal(value, getattr(second, name))


def test_frames_repeat_above_the_source_rate():
    sampled = sample(make_probe([0, 1, 2], 3, Fraction(1, 10)), Sampling(extraction_fps=25))
    assert sampled.indices.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert sampled.timestamps_ms.tolist() == [0, 40, 80, 120, 160, 200, 240, 280]
    assert sampled.source_timestamps_ms.tolist() == [0, 0, 0, 100, 100, 200, 200, 200]


@pytest.mark.parametrize("fps", [30000 / 1001, 24000 / 1001, 29.97002997002997, 23.976023976023978])
def test_an_ntsc_rate_given_as_a_float_falls_on_the_frames_of_an_ntsc_video(fps: float):
    frame = Fraction(fps).limit_denominator(1001)
    probe = make_probe(np.arange(1000) * 1001, 1001 * 1000, 1 / (frame * 1001))
    assert sample(probe, Sampling(extraction_fps=fps)).indices.tolist() == list(range(1000))


# ffmpeg's fps filter itself


def ffmpeg_fps_filter(probe: VideoProbe, rate: Fraction) -> list[tuple[int, int]]:
    """(output pts, index of the source frame) of each frame that libavfilter's fps filter emits.

    Each picture carries its index, each frame its duration: the end of stream that the filter rounds is the last
    frame's pts plus its duration, as it is when the ffmpeg command feeds it.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(width=8, height=2, format="gray", time_base=probe.time_base)
    fps = graph.add("fps", f"{rate.numerator}/{rate.denominator}")
    sink = graph.add("buffersink")
    source.link_to(fps)
    fps.link_to(sink)
    graph.configure()
    emitted: list[tuple[int, int]] = []

    def drain() -> None:
        while True:
            try:
                frame = sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            emitted.append((frame.pts, int(frame.to_ndarray()[0].view("<i8")[0])))

    ends = [*probe.pts[1:].tolist(), probe.end_pts]
    for index, (pts, end) in enumerate(zip(probe.pts.tolist(), ends, strict=True)):
        frame = av.VideoFrame.from_ndarray(np.full((2, 1), index, dtype="<i8").view(np.uint8), format="gray")
        frame.pts, frame.duration, frame.time_base = pts, end - pts, probe.time_base
        source.push(frame)
        drain()
    source.push(None)
    drain()
    return emitted


def assert_like_ffmpeg(probe: VideoProbe, sampling: Sampling) -> None:
    expected = ffmpeg_fps_filter(probe, sampling.rate)
    if not expected:
        with pytest.raises(SamplingError, match="emits no frame"):
            sample(probe, sampling)
        return
    sampled = sample(probe, sampling)
    assert_sound(sampled, probe)
    assert list(enumerate(sampled.indices.tolist())) == expected
    assert sampled.timestamps_ms.tolist() == [float(1000 * k / sampling.rate) for k, _ in expected]


def ffmpeg_at(rate: str) -> Sampling:
    return Sampling(extraction_fps=float(Fraction(rate)), frame_selection="ffmpeg")


@given(probes(), st.sampled_from(RATES))
def test_ffmpeg_selection_is_the_fps_filter_frame_by_frame(probe: VideoProbe, rate: str):
    assert_like_ffmpeg(probe, ffmpeg_at(rate))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("source_rate", ["10", "24000/1001", "25", "30000/1001", "60"])
def test_ffmpeg_selection_is_the_fps_filter_at_common_rates(source_rate: str, rate: str):
    frame = Fraction(source_rate)
    probe = make_probe(np.arange(150) * frame.denominator, 150 * frame.denominator, Fraction(1, frame.numerator))
    assert_like_ffmpeg(probe, ffmpeg_at(rate))


@pytest.mark.parametrize("rate", RATES)
def test_ffmpeg_selection_is_the_fps_filter_on_the_reference(rate: str):
    assert_like_ffmpeg(published(), ffmpeg_at(rate))


def test_ffmpeg_selection_at_one_fps_of_a_thirty_fps_video_takes_the_frame_before_each_half_second():
    sampled = sample(make_probe(np.arange(90), 90, Fraction(1, 30)), ffmpeg_at("1"))
    assert sampled.indices.tolist() == [14, 44, 74]
    assert sampled.timestamps_ms.tolist() == [0, 1000, 2000]


# Size and refusals


@pytest.mark.parametrize("frame_selection", ["on_screen", "ffmpeg"])
def test_three_hours_at_sixty_fps_are_counted_to_the_frame(frame_selection: str):
    probe = make_probe(np.arange(648_000) * 1500, 648_000 * 1500, Fraction(1, 90000))
    sampled = sample(probe, Sampling(59.94, frame_selection=frame_selection))
    assert len(sampled.indices) == 647_352  # 10800 s at 59.94 fps
    assert sampled.indices[-1] == 647_998 + (frame_selection == "ffmpeg")


def test_steps_beyond_int64_are_still_exact():
    """A nanosecond time base and a rate of 17 digits: k times the step's numerator passes 2**63 early on."""
    probe = make_probe(np.arange(2000) * 10**9, 2000 * 10**9, Fraction(1, 10**9))
    on_screen, as_ffmpeg = (Sampling(0.12345678901234567, frame_selection=s) for s in ("on_screen", "ffmpeg"))
    rate = on_screen.rate
    shown = [floor(k / rate) for k in range(247)]  # one frame a second
    slots = [floor(i * rate + Fraction(1, 2)) for i in range(2000)]
    assert sample(probe, on_screen).indices.tolist() == shown
    assert sample(probe, as_ffmpeg).indices.tolist() == [bisect_right(slots, k) - 1 for k in range(247)]
    for sampling in (on_screen, as_ffmpeg):
        assert sample(probe, sampling).timestamps_ms.tolist() == [float(1000 * k / rate) for k in range(247)]


@pytest.mark.parametrize("frame_selection", ["on_screen", "ffmpeg"])
def test_a_single_frame_at_a_rate_of_many_digits_is_sampled(frame_selection: str):
    """The rate's own numerator passes 2**63, though the only pts is 0."""
    probe = make_probe([0], end_pts=1, time_base=Fraction(1001, 30000))
    sampled = sample(probe, Sampling(92.59864142257078, frame_selection=frame_selection))
    assert sampled.indices.tolist() == [0] * (3 if frame_selection == "ffmpeg" else 4)  # 33.4 ms are 3.09 periods


@pytest.mark.parametrize("frame_selection", ["on_screen", "ffmpeg"])
def test_a_rate_of_absurdly_many_samples_is_refused(frame_selection: str):
    with pytest.raises(SamplingError, match=f"at most {MAX_SAMPLES}"):
        sample(published(), Sampling(1e6, frame_selection=frame_selection))


def test_more_samples_than_frames_are_refused():
    with pytest.raises(SamplingError, match="has 355 frames, extraction_total asks for 356"):
        sample(published(), Sampling(extraction_total=356))


def test_both_options_at_once_are_refused():
    with pytest.raises(SamplingError, match="exclude each other"):
        Sampling(extraction_fps=5, extraction_total=16)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), True, "5"])
def test_a_rate_that_is_no_positive_number_is_refused(fps: object):
    with pytest.raises(SamplingError, match="extraction_fps="):
        Sampling(extraction_fps=fps)


@pytest.mark.parametrize("total", [0, -3, 2.0, True, "16"])
def test_a_total_that_is_no_positive_whole_number_is_refused(total: object):
    with pytest.raises(SamplingError, match="extraction_total="):
        Sampling(extraction_total=total)


def test_an_unknown_frame_selection_is_refused_with_those_known():
    with pytest.raises(SamplingError, match="on_screen, ffmpeg"):
        Sampling(frame_selection="nearest")


# Parameters and the rate


def test_equal_samplings_have_equal_parameters():
    assert Sampling(5).parameters == Sampling(5.0).parameters
    assert repr(Sampling(5).parameters) == repr(Sampling(5.0).parameters)  # 5 and 5.0 differ in JSON
    assert Sampling(frame_selection="ffmpeg").parameters == Sampling().parameters
    assert Sampling(extraction_total=3, frame_selection="ffmpeg").parameters == Sampling(None, 3).parameters


def test_different_samplings_have_different_parameters():
    samplings = [Sampling(), Sampling(5), Sampling(5, frame_selection="ffmpeg"), Sampling(extraction_total=5)]
    assert len({repr(sampling.parameters) for sampling in samplings}) == len(samplings)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (23.976, Fraction(23976, 1000)),
        (0.1, Fraction(1, 10)),
        (30, Fraction(30)),
        (30000 / 1001, Fraction(30000, 1001)),
        (1 / 3, Fraction(1, 3)),
        (0.123456789, Fraction(123456789, 10**9)),
        (1e-9, Fraction(1, 10**9)),
        (None, None),
    ],
)
def test_the_rate_is_the_number_as_its_user_means_it(fps: float | None, rate: Fraction | None):
    assert Sampling(extraction_fps=fps).rate == rate


def test_ffmpeg_selection_goes_by_the_end_of_the_last_packet_where_the_container_states_less() -> None:
    """The published sample's packets end 49 ticks after the end that its container states; ffmpeg's counts follow."""
    probe = replace(published(), packets_end_pts=17750)
    counts = [
        len(sample(probe, Sampling(extraction_fps=rate, frame_selection="ffmpeg")).indices)
        for rate in (5.0, 19.62, 30.0, 60.0)
    ]
    assert counts == [90, 355, 543, 1086]
