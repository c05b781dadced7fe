"""Planning what to decode, and the pictures that can be left out."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_assets.core.video.container import decode_packet, open_video, packets_of
from clip_assets.core.video.nal import NalFormat
from clip_assets.core.video.run import PacketReader, Run, plan_runs
from clip_assets_tests.making import corpus
from clip_assets_tests.making.corpus import Clip

KEYFRAMES = np.array([0, 30, 60, 90])


def test_all_frames_are_one_run() -> None:
    assert plan_runs(list(range(100)), KEYFRAMES, skip=8) == [Run(0, list(range(100)))]


def test_a_run_starts_at_the_key_frame_before_the_next_frame_asked_for() -> None:
    assert plan_runs([5, 35, 95], KEYFRAMES, skip=8) == [Run(0, [5], 30), Run(30, [35], 90), Run(90, [95])]


def test_a_short_gap_is_decoded() -> None:
    assert plan_runs([5, 25, 31], KEYFRAMES, skip=8) == [Run(0, [5, 25, 31])]


def test_a_first_frame_far_into_the_video_skips_its_beginning() -> None:
    assert plan_runs([61], KEYFRAMES, skip=8) == [Run(60, [61])]


def test_before_the_first_key_frame_decoding_starts_with_the_file() -> None:
    assert plan_runs([2, 12], np.array([5]), skip=1) == [Run(0, [2], 5), Run(5, [12])]


@given(
    st.sets(st.integers(0, 300), min_size=1),
    st.sets(st.integers(0, 300)),
    st.integers(1, 50),
)
def test_runs_hold_each_frame_once_and_start_at_or_before_it(wanted: set[int], keys: set[int], skip: int) -> None:
    keyframes = np.array(sorted(keys), dtype=np.int64)
    runs = plan_runs(sorted(wanted), keyframes, skip)
    assert [index for run in runs for index in run.wanted] == sorted(wanted)
    assert all(run.key <= run.wanted[0] and (run.key == 0 or run.key in keys) for run in runs)
    assert all(later.key - earlier.wanted[-1] > skip for earlier, later in pairwise(runs))


def test_packets_put_back_come_next() -> None:
    reader = PacketReader(iter("abcd"))  # type: ignore[arg-type]
    taken = [next(reader), next(reader), next(reader)]
    reader.put_back(taken[1:])
    assert list(reader) == ["b", "c", "d"]


# Writer of a clip, and how many of its 30 frames are B-frames that nothing refers to.
DISPOSABLE: dict[str, tuple[Callable[[Path], Clip], int]] = {
    "b_frames.mp4": (corpus.b_frames, 15),
    "b_frames.mkv": (corpus.b_frames, 15),
    "hevc.mp4": (corpus.hevc, 10),
    "constant.mp4": (corpus.constant_rate, 0),
    "b_frames.ts": (corpus.b_frames, 0),
    "vp9.webm": (corpus.vp9, 0),
}


@pytest.mark.parametrize("name", DISPOSABLE)
def test_leaving_out_disposable_pictures_changes_no_other(name: str, tmp_path: Path) -> None:
    writer, count = DISPOSABLE[name]
    clip = writer(tmp_path / name)
    whole, left_out = (
        decode_without_disposable(clip.path, spare=False),
        decode_without_disposable(clip.path, spare=True),
    )
    assert len(whole) - len(left_out) == count
    for tick, picture in left_out.items():
        np.testing.assert_array_equal(picture, whole[tick])


def decode_without_disposable(path: Path, *, spare: bool) -> dict[int, np.ndarray]:
    """Presentation time -> luma and chroma as decoded."""
    pictures: dict[int, np.ndarray] = {}
    with open_video(path, 10) as (container, stream):
        nal = NalFormat.of(stream.codec_context)
        packets = [packet for packet in packets_of(container, stream) if not (spare and nal.is_disposable(packet))]
        for packet in [*packets, None]:
            for frame in decode_packet(stream, packet):
                assert isinstance(frame, av.VideoFrame)
                assert frame.pts is not None
                pictures[frame.pts] = frame.to_ndarray()
    return pictures
