"""Each failure comes with a way out that its reader can go."""

from __future__ import annotations

import re

import pytest

from clip_assets.advice import EXTRACT, PLATFORM, Advice, explain
from clip_assets.core import errors
from clip_assets.extract.options import FLAGS, KEYS
from clip_assets.orchestration.failures import videos_failed
from clip_assets.results.failure import Attempt
from clip_assets.settings import Settings, variable_name


def test_the_way_out_follows_what_is_wrong() -> None:
    refused = errors.DecoderRefusedError("a.avi: decord gets it wrong")
    assert explain(refused, PLATFORM) == "a.avi: decord gets it wrong. Decode it with PyAV: CLIP_ASSETS_DECODER=pyav."
    assert explain(refused, EXTRACT) == "a.avi: decord gets it wrong. Decode it with PyAV: decoder=pyav."


def test_the_nearest_kind_s_way_out_counts_and_an_error_without_one_stays_as_it_is() -> None:
    assert "decoder=pyav" in explain(errors.DecoderFailedError("x"), EXTRACT)
    assert "on_damage=keep" in explain(errors.VideoDamagedError("x"), EXTRACT)
    assert explain(errors.TextError("Too long."), PLATFORM) == "Too long."
    assert explain(OSError("disk full"), EXTRACT) == "disk full"


def test_a_step_s_failure_tells_the_way_out_of_each_video() -> None:
    failure = videos_failed(
        {"a.mp4": errors.VideoTimeoutError("a.mp4: too slow")},
        of=1,
        stopped=False,
        attempt=Attempt("frame_indices", "", {}),
    )
    assert "CLIP_ASSETS_VIDEO_TIMEOUT" in str(failure.description)


def test_a_video_that_nobody_came_to_isn_t_said_to_have_been_tried() -> None:
    seen = {"a.mp4": (1, 2, 3), "b.mp4": (4, 5, 6)}
    failed = {"a.mp4": errors.VideoNotFetchedError("no route"), "b.mp4": errors.VideoDamagedError("it ends early")}
    failure = videos_failed(failed, of=2, stopped=False, attempt=Attempt("frame_indices", "", seen))
    told = failure.metadata["attempt"].value
    assert told["signatures"] == {"a.mp4": None, "b.mp4": [4, 5, 6]}


@pytest.mark.parametrize("advice", [PLATFORM, EXTRACT], ids=["platform", "extract"])
def test_every_setting_named_exists(advice: Advice) -> None:
    variables = {variable_name(field) for field in Settings.model_fields}
    text = " ".join(advice.values())
    named = set(re.findall(r"CLIP_ASSETS_[A-Z_]+", text))
    keys = set(re.findall(r"\b([a-z]+_[a-z]+|decoder)=", text)) | set(re.findall(r"--(\w+)", text))
    assert named <= variables
    assert keys <= {*KEYS, *FLAGS}
    assert bool(named) != bool(keys), "a platform has variables, the command has keys"
