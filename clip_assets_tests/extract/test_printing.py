"""What is printed, character by character where people's scripts read it."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from clip_assets.core.model.score import Score
from clip_assets.extract.inputs import Video
from clip_assets.extract.printing import Predictions, array_lines

TEXTS = ("a red circle", 'a "blue", square', "a star")
CLIP = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
TEXT_FEATURES = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
ARRAYS = {"clip": CLIP, "timestamps_ms": np.array([0.0, 500.0])}

# Cosines are 1, 0, 1/sqrt(2) and 0, 1, 1/sqrt(2); times the logit scale of 2.
LOGITS = np.array([[2.0, 0.0, np.sqrt(2)], [0.0, 2.0, np.sqrt(2)]])
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


def lines(pred_format: str, best: int | None = None, videos: int = 1) -> list[str]:
    model = SimpleNamespace(score=Score(2.0), encode_texts=lambda texts: TEXT_FEATURES[: len(texts)])
    predictions = Predictions(model, TEXTS, pred_format, best)
    made = list(predictions.begin())
    for number in range(videos):
        made += predictions.of_video(Video(number, f"{number}.mp4"), ARRAYS)
    return made + list(predictions.end())


def test_an_array_is_its_name_its_values_and_their_extremes_to_eight_places() -> None:
    values = np.array([[0.1, 0.2], [0.3, -4.0]], dtype=np.float32)
    assert list(array_lines({"clip": values, "fps": np.asarray(19.62)})) == [
        "clip",
        "[[ 0.1  0.2]\n [ 0.3 -4. ]]",
        "max: 0.30000001; mean: -0.85000000; min: -4.00000000",
        "",
        "fps",
        "19.62",
        "max: 19.62000000; mean: 19.62000000; min: 19.62000000",
        "",
    ]


def test_text_has_all_sentences_in_their_order_and_full_float64() -> None:
    first, *frames = lines("text")
    assert first == 'Video #0: a red circle | a "blue", square | a star'
    assert [line.partition(": ")[0] for line in frames] == ["frame 0", "frame 1"]
    values = [json.loads(line.partition(": ")[2]) for line in frames]
    np.testing.assert_allclose(values, PROBABILITIES, rtol=1e-15)


def test_a_table_has_logit_probability_and_label_best_first() -> None:
    assert lines("table")[:6] == [
        "Video #0: 0.mp4",
        "frame 0 at 0.0 ms",
        "  Logits | Prob. | Label",
        "   2.000 | 0.591 | a red circle",
        "   1.414 | 0.329 | a star",
        '   0.000 | 0.080 | a "blue", square',
    ]


def test_text_with_the_best_sentences_alone_is_a_table_of_these() -> None:
    assert lines("text", best=1) == [
        "Video #0: 0.mp4",
        *("frame 0 at 0.0 ms", "  Logits | Prob. | Label", "   2.000 | 0.591 | a red circle", ""),
        *("frame 1 at 500.0 ms", "  Logits | Prob. | Label", '   2.000 | 0.591 | a "blue", square', ""),
    ]


@pytest.mark.parametrize("videos", [0, 1, 2])
def test_json_is_one_list_whatever_the_number_of_videos(videos: int) -> None:
    document = json.loads("\n".join(lines("json", videos=videos)))
    assert [video["video"] for video in document] == [f"{number}.mp4" for number in range(videos)]
    for video in document:
        assert [frame["timestamp_ms"] for frame in video["frames"]] == [0.0, 500.0]
        for frame, logits, probabilities in zip(video["frames"], LOGITS, PROBABILITIES, strict=True):
            assert [match["text"] for match in frame["matches"]] == list(TEXTS)
            np.testing.assert_allclose([match["logit"] for match in frame["matches"]], logits, atol=1e-15)
            np.testing.assert_allclose([match["probability"] for match in frame["matches"]], probabilities, rtol=1e-15)


def test_csv_has_a_line_for_each_frame_and_sentence() -> None:
    rows = list(csv.DictReader(lines("csv", videos=2)))
    assert [row["video"] for row in rows] == 6 * ["0.mp4"] + 6 * ["1.mp4"]
    assert [row["text"] for row in rows] == 4 * list(TEXTS)
    assert [row["sample_index"] for row in rows[:6]] == ["0", "0", "0", "1", "1", "1"]
    np.testing.assert_allclose([float(row["probability"]) for row in rows[:6]], PROBABILITIES.ravel(), rtol=1e-15)
