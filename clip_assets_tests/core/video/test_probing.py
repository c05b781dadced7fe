"""Times and rates that a container tells badly, and what it shows to be missing."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from clip_assets.core.video import probe
from clip_assets.core.video.ticks import ascending
from clip_assets_tests.making import corpus


@pytest.mark.parametrize(
    ("ticks", "made"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([0, 40, 40, 80], [0, 40, 41, 80]),
        ([0, 40, 40, 40, 80], [0, 40, 41, 42, 80]),
        ([1000, 1040, 1080, 0, 40], [1000, 1040, 1080, 1120, 1160]),
        ([7], [7]),
        ([], []),
    ],
    ids=["as they are", "repeated", "repeated twice", "clock set anew", "single", "none"],
)
def test_times_are_made_to_ascend(ticks: list[int], made: list[int]) -> None:
    assert ascending(ticks, step=40).tolist() == made


def test_an_edit_list_shows_in_the_probe(tmp_path: Path) -> None:
    assert probe(corpus.edit_list(tmp_path / "edit_list.mp4").path).has_edit_list
    assert not probe(corpus.b_frames(tmp_path / "b_frames.mp4").path).has_edit_list


def test_a_late_start_shows_in_the_probe(tmp_path: Path) -> None:
    found = probe(corpus.nonzero_start(tmp_path / "late.mp4").path)
    assert found.start_pts * found.time_base == 2
    assert found.pts[0] == 0


def test_key_frames_are_those_that_were_written(tmp_path: Path) -> None:
    for name in ("b_frames.mp4", "b_frames.mkv", "b_frames.ts"):
        np.testing.assert_array_equal(probe(corpus.b_frames(tmp_path / name).path).keyframes, [0, 8, 16, 24])


def test_the_rate_is_the_streams_own_where_the_times_bear_it_out(tmp_path: Path) -> None:
    ntsc = corpus.ntsc_rate(tmp_path / "ntsc.mkv")
    assert probe(ntsc.path).fps == 30000 / 1001


def test_the_rate_is_frames_by_duration_where_the_header_states_another(tmp_path: Path) -> None:
    variable = corpus.variable_rate(tmp_path / "variable.mkv")
    assert probe(variable.path).fps == pytest.approx(float(30 / variable.end), rel=1e-3)


def test_the_end_of_a_single_frame_is_the_end_of_its_packet(tmp_path: Path) -> None:
    found = probe(corpus.single_frame(tmp_path / "single.mp4").path)
    assert found.end_pts * found.time_base == Fraction(1, 25)
    assert found.duration_ms == 40
