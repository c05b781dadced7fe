"""Sound results are found sound, however they were sampled; each way to be wrong is seen and put into words."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_assets.core.errors import SamplingError
from clip_assets.core.matching import match_texts, text_parameters
from clip_assets.core.model.score import Score
from clip_assets.core.records import ClipFeatures, FrameIndices, VideoProbe
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.soundness import (
    FROZEN_FRAMES,
    Finding,
    feature_findings,
    frame_findings,
    longest_identical_stretch,
    match_findings,
)

EVERY = Sampling().parameters
FRAMES = FrameIndices(
    indices=np.arange(30),
    timestamps_ms=np.arange(30) * 40.0,
    source_timestamps_ms=np.arange(30) * 40.0,
    fps=25.0,
    frame_count=30,
    width=96,
    height=64,
    duration_ms=1200.0,
)
FEATURES = ClipFeatures(
    clip=np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32),
    timestamps_ms=FRAMES.timestamps_ms,
    source_timestamps_ms=FRAMES.source_timestamps_ms,
    indices=FRAMES.indices,
    fps=25.0,
    model_name="custom",
    weights_sha256="0" * 64,
)
TEXTS = ("a red circle", "a blue square")
MATCH = match_texts(FEATURES.clip, np.eye(2, 8), Score(100.0), TEXTS, FEATURES.timestamps_ms)


def wrong(findings: Any) -> list[Finding]:
    return [finding for finding in findings if not finding.holds]


@given(
    st.lists(st.integers(1, 9000), min_size=1, max_size=40),
    st.integers(-8999, 9000),
    st.sampled_from([Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 1000)]),
    st.one_of(
        st.just(Sampling()),
        st.builds(Sampling, st.floats(0.05, 100), st.none(), st.sampled_from(["on_screen", "ffmpeg"])),
        st.builds(Sampling, st.sampled_from([30000 / 1001, 23.976, 25.0, 1 / 3]), st.none(), st.just("ffmpeg")),
        st.builds(Sampling, st.none(), st.integers(1, 40)),
    ),
)
def test_whatever_sampling_gives_is_found_sound(
    durations: list[int], beyond: int, time_base: Fraction, sampling: Sampling
) -> None:
    ticks = np.cumsum([0, *durations])
    packets_end = max(int(ticks[-1]) + beyond, int(ticks[-2]) + 1)
    video = VideoProbe(
        path=Path("v.mp4"), container="mp4", codec="h264", width=96, height=64, rotation=0, pts=ticks[:-1],
        end_pts=int(ticks[-1]), packets_end_pts=packets_end, start_pts=0, time_base=time_base, fps=25.0,
        has_edit_list=False, keyframes=np.array([0]),
    )  # fmt: skip
    try:
        frames = sample(video, sampling)
    except SamplingError:
        return
    end = packets_end if sampling.frame_selection == "ffmpeg" else int(ticks[-1])
    assert wrong(frame_findings(frames, sampling.parameters, float(end * time_base * 1000))) == []
    if sampling.frame_selection == "ffmpeg":
        assert wrong(frame_findings(frames, sampling.parameters, None)) == []


@pytest.mark.parametrize(
    ("changed", "what", "seen"),
    [
        ({"timestamps_ms": [0.0, 40.0, 40.0]}, "sample times (ms)", "0 to 40, 40 and then 40 at sample 2"),
        ({"timestamps_ms": [-1.0, 40.0, 80.0]}, "sample times (ms)", "-1 to 80"),
        ({"indices": [0, 1, 30]}, "frame indices", "0 to 30"),
        ({"indices": [0, 2, 1]}, "frame indices", "0 to 1, 2 and then 1 at sample 2"),
        ({"source_timestamps_ms": [0.0, 40.0, 1201.0]}, "source times (ms)", "0 to 1201"),
        ({"source_timestamps_ms": [0.0]}, "samples", "1 and 3"),
        ({"indices": [], "timestamps_ms": [], "source_timestamps_ms": []}, "frame indices", "none"),
    ],
)
def test_frames_that_break_a_rule_are_named(changed: dict[str, list[float]], what: str, seen: str) -> None:
    fields = {"indices": [0, 1, 2], "timestamps_ms": [0.0, 40.0, 80.0], "source_timestamps_ms": [0.0, 40.0, 80.0]}
    frames = replace(FRAMES, **{name: np.array(values) for name, values in {**fields, **changed}.items()})
    assert (what, seen) in [(finding.what, finding.seen) for finding in wrong(frame_findings(frames, EVERY, 1200.0))]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), "30"),
        (Sampling(extraction_total=4), "4"),
        (Sampling(extraction_fps=10.0), "12"),
        (Sampling(extraction_fps=0.5), "1"),
        (Sampling(extraction_fps=10.5, frame_selection="ffmpeg"), "13"),
    ],
)
def test_the_number_of_samples_is_the_sampling_table_s(sampling: Sampling, expected: str) -> None:
    frames = replace(FRAMES, indices=np.arange(29), timestamps_ms=FRAMES.timestamps_ms[:29])
    (finding,) = [found for found in frame_findings(frames, sampling.parameters, 1200.0) if found.what == "samples"]
    assert (finding.expected, finding.holds) == (expected, False)


def test_sound_features_are_found_sound() -> None:
    assert wrong(feature_findings(FEATURES, 30)) == []
    assert wrong(feature_findings(FEATURES, None)) == []
    assert longest_identical_stretch(FEATURES) is None


def test_features_that_are_not_finite_or_vanish_are_named() -> None:
    clip = FEATURES.clip.copy()
    clip[3] = np.nan
    clip[5] = 0
    found = {finding.what: finding.seen for finding in wrong(feature_findings(replace(FEATURES, clip=clip), 30))}
    assert found["rows that aren't finite"] == "1 [3]"
    assert "norms of custom" in found


def test_norms_that_are_unusual_for_a_known_model_are_named() -> None:
    scaled = FEATURES.clip / np.linalg.norm(FEATURES.clip, axis=1, keepdims=True)
    usual = replace(FEATURES, clip=scaled * 10, model_name="ViT-B/32")
    assert wrong(feature_findings(usual, 30)) == []
    (finding,) = wrong(feature_findings(replace(usual, clip=scaled), 30))
    assert (finding.what, finding.seen, finding.expected) == ("norms of ViT-B/32", "1 to 1", "5 to 20")


@pytest.mark.parametrize(("damage", "is_wrong"), [("", True), ("the last frame is missing", False)])
def test_fewer_rows_than_frames_are_wrong_unless_the_video_is_known_to_be_damaged(damage: str, is_wrong: bool) -> None:
    names = ("clip", "indices", "timestamps_ms", "source_timestamps_ms")
    cut = replace(FEATURES, damage=damage, **{name: getattr(FEATURES, name)[:29] for name in names})
    assert bool(wrong(feature_findings(cut, 30))) == is_wrong


def test_rows_and_times_of_different_number_are_wrong() -> None:
    cut = replace(FEATURES, clip=FEATURES.clip[:29])
    (finding,) = wrong(feature_findings(cut, 30))
    assert (finding.what, finding.seen, finding.expected) == ("rows", "29", "30, one a frame")
    assert longest_identical_stretch(cut) is None


def test_a_stretch_of_different_frames_with_one_feature_is_found() -> None:
    clip = FEATURES.clip.copy()
    clip[10:20] = clip[10]
    clip[25:28] = clip[25]
    assert longest_identical_stretch(replace(FEATURES, clip=clip)) == (10, 19)


def test_a_stretch_of_few_frames_or_of_one_frame_sampled_often_is_not() -> None:
    clip = FEATURES.clip.copy()
    clip[: FROZEN_FRAMES - 1] = clip[0]
    assert longest_identical_stretch(replace(FEATURES, clip=clip)) is None
    repeated = np.repeat(np.arange(3), 10)
    assert longest_identical_stretch(replace(FEATURES, clip=FEATURES.clip[repeated], indices=repeated)) is None


def test_sound_probabilities_are_found_sound() -> None:
    assert wrong(match_findings(MATCH, text_parameters(TEXTS))) == []


def test_a_sigmoid_s_probabilities_are_compared_with_their_logits_and_need_not_sum_to_one() -> None:
    score = Score(10.0, -5.0, "sigmoid")
    match = match_texts(FEATURES.clip, np.eye(2, 8), score, TEXTS, FEATURES.timestamps_ms)
    assert wrong(match_findings(match, text_parameters(TEXTS))) == []
    (finding,) = wrong(match_findings(replace(match, score_kind="softmax"), text_parameters(TEXTS)))
    assert finding.what == "row sum furthest from 1"
    for spoilt in (match.probabilities + 0.01, np.full_like(match.probabilities, np.nan)):
        (finding,) = wrong(match_findings(replace(match, probabilities=spoilt), text_parameters(TEXTS)))
        assert finding.what == "probability furthest from the sigmoid of its logit"


@pytest.mark.parametrize("value", [0.9, np.nan])
def test_rows_that_do_not_sum_to_one_are_named(value: float) -> None:
    probabilities = MATCH.probabilities.copy()
    probabilities[7] = (value, 0.0)
    (finding,) = wrong(match_findings(replace(MATCH, probabilities=probabilities), text_parameters(TEXTS)))
    assert (finding.what, finding.seen) == ("row sum furthest from 1", str(value))


def test_a_missing_column_and_other_sentences_are_named() -> None:
    cut = replace(MATCH, texts=TEXTS[:1], probabilities=np.ones((30, 1)), logits=np.ones((30, 1)))
    assert [finding.what for finding in wrong(match_findings(cut, text_parameters(TEXTS)))] == [
        "frames x sentences",
        "SHA-256 of the sentences",
    ]
    swapped = replace(MATCH, texts=TEXTS[::-1])
    (finding,) = wrong(match_findings(swapped, text_parameters(TEXTS)))
    assert finding.what == "SHA-256 of the sentences"
