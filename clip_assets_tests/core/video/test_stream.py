"""Which of a file's video streams is taken, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clip_assets.core.errors import DecoderRefusedError
from clip_assets.core.video import decode, probe
from clip_assets_tests.making import corpus, corpus_shown
from clip_assets_tests.making.corpus import Clip, read_number

SECOND: dict[str, Callable[[Path], Clip]] = {
    "preview.mp4": corpus_shown.preview_first,
    "preview.mov": corpus_shown.preview_first,
    "preview.mkv": corpus_shown.preview_first,
    "preview.avi": corpus_shown.preview_first,
    "default.mkv": corpus_shown.second_default,
    "default.mp4": corpus_shown.second_default,
    "larger.mkv": corpus_shown.second_larger,
    "larger.ts": corpus_shown.second_larger,
}


@pytest.mark.parametrize("name", SECOND)
def test_the_stream_that_a_player_shows_is_probed_and_decoded(name: str, tmp_path: Path) -> None:
    clip = SECOND[name](tmp_path / name)
    found = probe(clip.path)
    assert (found.width, found.height, found.frame_count) == (clip.width, clip.height, len(clip.numbers))
    assert (found.stream_index, found.video_streams) == (1, (0, 1))
    assert found.treatment == {"stream": 1}
    with decode(found, np.array([3, 20])) as frames:
        assert [read_number(frame.rgb) for frame in frames] == [clip.numbers[3], clip.numbers[20]]


def test_of_equal_streams_the_first_is_taken_as_it_always_was(tmp_path: Path) -> None:
    found = probe(corpus_shown.equal_streams(tmp_path / "equal.mkv").path)
    assert (found.stream_index, found.video_streams, found.treatment) == (0, (0, 1), {})


def test_a_video_of_one_picture_is_taken_where_there_is_no_other(tmp_path: Path) -> None:
    found = probe(corpus.single_frame(tmp_path / "single.mkv").path)
    assert (found.frame_count, found.video_streams, found.treatment) == (1, (0,), {})


def test_decord_refuses_a_file_of_several_video_streams(tmp_path: Path) -> None:
    clip = corpus_shown.equal_streams(tmp_path / "equal.mp4")
    with pytest.raises(DecoderRefusedError, match="2 video streams"):
        decode(clip.path, np.array([0]), decoder="decord")
