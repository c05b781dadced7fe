"""The pictures of results: what is on them, how large they may be, what a damaged video shows."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.matching import match_texts
from clip_assets.core.picture import MAX_PICTURE_BYTES, Picture
from clip_assets.core.pictures.kept import kept_frames, kept_sheet
from clip_assets.core.pictures.plots import COLOURS, similarity_plot
from clip_assets.core.pictures.results import (
    best_frames,
    change_over_time,
    probabilities_over_time,
    sampled_frames,
    similarity_over_time,
)
from clip_assets.core.pictures.sheets import contact_sheet, thumbnails
from clip_assets.core.pipeline.decoding import PipelineOptions, VideoJob
from clip_assets.core.pipeline.features import Extracted, extract_features
from clip_assets.core.records import ClipFeatures, TextMatch
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe
from clip_assets.demo import demo_clips
from clip_assets.models import load_model
from clip_assets_tests.making import corpus

(SHAPES,) = [clip for clip in demo_clips() if clip.name == "shapes.mp4"]
RED, BLUE, GREEN = (220, 30, 30), (40, 80, 220), (30, 160, 60)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def has_colour(picture: np.ndarray, colour: tuple[int, int, int], least: int = 30) -> bool:
    return bool((np.abs(picture - colour).max(axis=-1) < 45).sum() >= least)


def hex_colour(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def features(clip: np.ndarray, step_ms: float = 100.0) -> ClipFeatures:
    times = np.arange(len(clip)) * step_ms
    return ClipFeatures(clip.astype(np.float32), times, times, np.arange(len(clip)), 10.0, "m", "0" * 64)


def match(probabilities: np.ndarray, texts: tuple[str, ...] | None = None) -> TextMatch:
    texts = texts or tuple(f"sentence {place}" for place in range(probabilities.shape[1]))
    return TextMatch(texts, probabilities, np.log(probabilities + 1e-9), np.arange(len(probabilities)) * 500.0)


def test_the_contact_sheet_shows_the_sampled_frames_in_order() -> None:
    video = probe(SHAPES)
    picture = sampled_frames(video, sample(video, Sampling(1.0)))
    assert picture.alt.startswith("Contact sheet: 6 of the 6 sampled frames, from 0.00 s to 5.00 s")
    sheet = pixels(picture.data)
    thirds = np.array_split(sheet, 3, axis=1)
    for third, colour in zip(thirds, (RED, BLUE, GREEN), strict=True):
        assert [has_colour(third, other, 500) for other in (RED, BLUE, GREEN)] == [
            other == colour for other in (RED, BLUE, GREEN)
        ]


def test_a_contact_sheet_of_many_frames_has_24_and_fits() -> None:
    video = probe(SHAPES)
    picture = sampled_frames(video, sample(video, Sampling()))
    assert picture.alt.startswith("Contact sheet: 24 of the 60 sampled frames, from 0.00 s to 5.90 s")
    assert len(picture.data) <= MAX_PICTURE_BYTES


def test_thumbnails_are_upright_and_keep_their_proportions() -> None:
    (turned,) = [clip for clip in demo_clips() if clip.name == "rotated.mp4"]
    made = thumbnails(probe(turned), np.array([0, 7]))
    assert {index: picture.size for index, picture in made.items()} == {0: (120, 160), 7: (120, 160)}


def test_of_a_damaged_video_the_frames_that_decode_are_shown(tmp_path: Path) -> None:
    corpus.corrupt_packet(tmp_path / "damaged.mp4", 13)
    made = thumbnails(probe(tmp_path / "damaged.mp4"), np.arange(30))
    assert list(made)[:13] == list(range(13))
    assert 13 not in made


def test_of_a_video_that_was_cut_off_the_frames_that_are_there_are_shown(tmp_path: Path) -> None:
    corpus.truncated(tmp_path / "cut.mp4", index_in_front=True)
    video = probe(tmp_path / "cut.mp4")
    assert len(thumbnails(video, np.arange(video.frame_count))) in (video.frame_count, video.frame_count - 1)


def test_a_frame_that_does_not_decode_leaves_a_blank_that_says_so() -> None:
    frame = Image.new("RGB", (160, 120), (200, 40, 40))
    sheet = pixels(contact_sheet([(frame, ("one",)), (None, ("two",))]))
    left, right = sheet[8:128, 8:168], sheet[8:128, 176:336]
    assert has_colour(left, (200, 40, 40), 10_000)
    assert np.median(right) < 80
    assert (right > 150).any()


def test_a_video_that_is_gone_is_an_error(tmp_path: Path) -> None:
    corpus.single_frame(tmp_path / "a.mp4")
    video = probe(tmp_path / "a.mp4")
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(VideoUnreadableError):
        thumbnails(video, np.array([0]))


def test_the_similarity_plot_is_bright_where_frames_are_alike() -> None:
    clip = np.repeat(np.eye(4)[:2], [30, 30], axis=0)
    picture = similarity_over_time(features(clip))
    assert "from 0.000 to 1.000" in picture.alt
    plot = pixels(picture.data)
    height, width, _ = plot.shape
    box = plot[int(0.09 * height) : int(0.87 * height), int(0.13 * width) : int(0.79 * width)].sum(axis=-1)
    quarters = [[part.mean() for part in np.array_split(row, 2, axis=1)] for row in np.array_split(box, 2)]
    (above, alike_late), (alike_early, below) = quarters
    assert min(alike_early, alike_late) > 1.5 * max(above, below)


def test_the_change_plot_marks_the_cut_and_says_when() -> None:
    random = np.random.default_rng(0)
    clip = np.repeat(np.eye(8)[:2], [20, 20], axis=0) + 0.01 * random.standard_normal((40, 8))
    picture = change_over_time(features(clip))
    assert picture.alt.endswith("Cuts: 2.00 s.")
    plot = pixels(picture.data)
    marker = (np.abs(plot - hex_colour(COLOURS[1])).max(axis=-1) < 30).nonzero()[1]
    first, last = 0.08 * 860, 0.98 * 860
    assert first < marker.mean() < last
    assert marker.mean() == pytest.approx(first + 0.045 * (last - first) + 1.9 / 3.8 * 0.91 * (last - first), abs=12)


def test_each_strong_sentence_has_a_line_of_its_own_and_the_rest_one_together() -> None:
    random = np.random.default_rng(0)
    logits = random.standard_normal((50, 400))
    logits[:, :7] += 6
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    picture = probabilities_over_time(match(probabilities))
    assert "7 strongest of 400 sentences" in picture.alt
    plot = pixels(picture.data)
    for colour in COLOURS:
        assert has_colour(plot, hex_colour(colour)), colour
    assert has_colour(plot, (107, 111, 118), 20)
    few = pixels(probabilities_over_time(match(probabilities[:, :2])).data)
    assert not has_colour(few, hex_colour(COLOURS[2]))


@pytest.mark.parametrize("sentence", ["costs $5 and $6", "_under", "line\nbreak", "<b>&", "[x](y)", "", "日本 🔴"])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_any_sentence_can_be_plotted(sentence: str) -> None:
    picture = probabilities_over_time(match(np.array([[0.9, 0.1], [0.2, 0.8]]), (sentence, "other")))
    assert pixels(picture.data).std() > 5


def best_of_shapes(folder: Path, thumbnails: int) -> tuple[Picture, TextMatch, list[int]]:
    """The picture made of the demo's main clip by the demo's model, the match, and the frames that were kept."""
    model = load_model("demo", weights_folder=folder)
    video = probe(SHAPES)
    job = VideoJob("shapes", lambda: (video, sample(video, Sampling())))
    (result,) = extract_features([job], [model], PipelineOptions(thumbnails=thumbnails))
    assert isinstance(result, Extracted)
    texts, found = ("a red circle", "a blue square", "a green triangle"), result.features
    matched = match_texts(found.clip, model.encode_texts(texts), model.score, texts, found.timestamps_ms)
    sheet = kept_sheet(result.thumbnails)
    assert sheet is not None
    return best_frames(kept_frames(sheet), matched, found.indices), matched, list(result.thumbnails)


def test_the_best_frame_of_each_sentence_shows_it_and_its_time_is_told(tmp_path: Path) -> None:
    picture, matched, kept = best_of_shapes(tmp_path, 12)
    assert picture.alt.startswith("Contact sheet: the best frame, among 12 of the 60 encoded frames, of each of the 3 ")
    for place, text in enumerate(matched.texts):
        best = max(kept, key=matched.probabilities[:, place].__getitem__)
        told = f"{text} ({matched.probabilities[best, place]:.1%} at {matched.timestamps_ms[best] / 1000:.2f} s)"
        assert told in picture.alt
    colours = (RED, BLUE, GREEN)
    order = np.argsort(-matched.probabilities.mean(axis=0))
    for third, place in zip(np.array_split(pixels(picture.data), 3, axis=1), order, strict=True):
        assert [has_colour(third, colour, 500) for colour in colours] == [at == place for at in range(3)]


def test_the_best_frame_is_chosen_among_those_that_were_kept() -> None:
    strong = np.array([0.2, 0.2, 0.9, 0.5, 0.6])
    matched = match(np.stack([strong, 1 - strong], axis=1), ("a", "b"))
    colours = {3: RED, 7: BLUE, 9: GREEN}
    kept = {index: Image.new("RGB", (64, 64), colour) for index, colour in colours.items()}
    picture = best_frames(kept, matched, np.array([3, 3, 4, 7, 9]))
    assert "among 3 of the 4 encoded frames" in picture.alt
    assert "b (80.0% at 0.00 s)" in picture.alt
    assert "a (60.0% at 2.00 s)" in picture.alt
    of_b, of_a = np.array_split(pixels(picture.data), 2, axis=1)  # the stronger one comes first
    assert has_colour(of_b, RED, 20_000)
    assert has_colour(of_a, GREEN, 20_000)


def test_nothing_is_said_of_kept_frames_where_all_were_kept() -> None:
    kept = {index: Image.new("RGB", (64, 64)) for index in (0, 1)}
    picture = best_frames(kept, match(np.full((2, 2), 0.5)), np.array([0, 1]))
    assert picture.alt.startswith("Contact sheet: the best frame of each of the 2 strongest sentences: ")


def worst_cases() -> list[Picture]:
    random = np.random.default_rng(0)
    clip = random.standard_normal((3000, 16))
    probabilities = random.dirichlet(np.full(60, 0.05), size=3000)
    noise = features(clip, 33.0)
    return [similarity_over_time(noise), change_over_time(noise), probabilities_over_time(match(probabilities))]


def test_pictures_of_noise_stay_within_their_size() -> None:
    for picture in worst_cases():
        assert len(picture.data) <= MAX_PICTURE_BYTES, picture.name
    random = np.random.default_rng(0)
    frames = [Image.fromarray(random.integers(0, 256, (160, 160, 3), dtype=np.uint8)) for _ in range(24)]
    assert len(contact_sheet([(frame, ("0.00 s",)) for frame in frames])) <= MAX_PICTURE_BYTES
    assert len(similarity_plot(random.random((128, 128)), np.arange(129.0))) <= MAX_PICTURE_BYTES


@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_videos_have_pictures_too(count: int) -> None:
    few = features(np.eye(4)[:count])
    for picture in (similarity_over_time(few), change_over_time(few)):
        assert pixels(picture.data).std() > 5
    assert pixels(probabilities_over_time(match(np.full((count, 2), 0.5))).data).std() > 5
