"""Times that repeat: frames of a fast camera keep their places though their container counts milliseconds."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from clip_assets.core.video.ticks import ascending, divided

ROUNDING: dict[str, Callable[[Fraction], int]] = {
    "to even": round,
    "down": math.floor,
    "up": lambda time: math.floor(time + Fraction(1, 2)),
}


@pytest.mark.parametrize("rounded", ROUNDING.values(), ids=ROUNDING)
@pytest.mark.parametrize("rate", [2000, 1500, 3000, 1200])
def test_a_constant_rate_beyond_the_ticks_is_found_again(rate: int, rounded: Callable[[Fraction], int]) -> None:
    truth = [Fraction(1000 * number, rate) for number in range(200)]
    times, parts = divided([5000 + rounded(time) for time in truth])
    assert [Fraction(int(time), parts) - 5000 for time in times] == truth


@pytest.mark.parametrize("rate", [Fraction(1001), Fraction(120000, 101), Fraction(7777, 3)])
def test_a_rate_that_ticks_hardly_tell_is_found_to_less_than_a_tick(rate: Fraction) -> None:
    truth = [1000 * number / rate for number in range(2000)]
    times, parts = divided(list(map(round, truth)))
    assert np.all(np.diff(times) > 0)
    assert max(abs(Fraction(int(time), parts) - exact) for time, exact in zip(times, truth, strict=True)) < 1


def test_frames_of_a_variable_rate_stay_within_half_a_tick_of_their_own() -> None:
    steps = np.random.default_rng(0).choice([0.25, 0.5, 3.0], 500)
    truth = np.cumsum(steps)
    times, parts = divided(np.rint(truth).astype(int).tolist())
    assert np.all(np.diff(times) > 0)
    assert np.abs(times / parts - np.rint(truth)).max() < 0.5
    assert np.abs(times / parts - truth).max() <= 1


@pytest.mark.parametrize(
    "ticks",
    [[], [7], [0, 40, 80], [0, 40, 40, 80], [0, 1, 2, 2, 4], [0, 40, 80, 0, 40], [0, 40, 80, 80]],
    ids=["none", "single", "as they are", "room for one", "little room", "clock set anew", "last one repeats"],
)
def test_ticks_stay_whole_where_there_is_room_between_them(ticks: list[int]) -> None:
    times, parts = divided(ticks)
    assert (times.tolist(), parts) == (ticks, 1)


def test_a_step_back_is_no_new_start_where_new_starts_were_taken_care_of() -> None:
    assert ascending([0, 40, 80, 20, 120, 160], None).tolist() == [0, 40, 80, 81, 120, 160]
