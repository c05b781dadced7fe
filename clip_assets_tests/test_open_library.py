"""The Python face: each form of question finds the right video at its right times."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clip_assets
from clip_assets.asking import comparing, encoders
from clip_assets.asking.answers import Moment
from clip_assets.asking.library import Library
from clip_assets.core.errors import QueryError, ResultMissingError, SettingsError, TextError
from clip_assets.core.records import ClipFeatures
from clip_assets.core.search.encoding import read_picture
from clip_assets.core.store import Store
from clip_assets.demo.shapes import Shape, draw, plain
from clip_assets.models import model_sha256
from clip_assets_tests.core.search.corpus import Library as MadeLibrary
from clip_assets_tests.core.search.corpus import clip_of

BLUE_SQUARE = ("shapes.mp4", 1750.0, 3750.0)


@pytest.fixture
def lib(demo_library: Path) -> Library:
    return clip_assets.open_library(demo_library / "output", videos=demo_library / "videos")


@pytest.fixture
def blue_square() -> Image.Image:
    return Image.fromarray(draw(Shape("blue", "square", 0.5, 0.5, 0.6, 5.0), plain(320, 240, (240, 200, 120))))


def place(moment: Moment) -> tuple[str, float, float]:
    return moment.key, moment.from_ms, moment.to_ms


def encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_sentence_finds_its_moment_with_score_and_probability(lib):
    found = lib.find("a blue square", top=3)
    assert place(found[0]) == BLUE_SQUARE
    assert 1750 <= found[0].best_ms <= 3750
    assert found[0].score > 0.9
    assert found[0].probability > 0.99
    assert found[0].fits_better == ""
    assert [moment.score for moment in found[1:]] < [0.5]
    assert found.notes == ()


def test_where_another_sentence_fits_better_it_is_named(lib):
    others = {moment.fits_better for moment in lib.find("a blue square", top=9)[1:]}
    assert {"a red circle", "a green triangle"} <= others


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"like": "shapes.mp4@3"}, BLUE_SQUARE),
        ({"like": "shapes.mp4@2-3.5"}, BLUE_SQUARE),
        ({"like": "variable_rate.mp4@0.2"}, ("variable_rate.mp4", 0.0, 2250.0)),
        ({"text": "a black star"}, ("rotated.mp4", 1750.0, 3200.0)),
        ({"text": ["a blue square", "a red circle:0.2"], "without": "a green triangle"}, BLUE_SQUARE),
        ({"text": "a blue square", "like": "shapes.mp4@3:0.5"}, BLUE_SQUARE),
    ],
)
def test_every_form_of_question_finds_its_moment(lib, asked, expected):
    assert place(lib.find(**asked, top=1)[0]) == expected


def test_pictures_are_looked_for_whatever_they_come_as(lib, blue_square, tmp_path):
    path = tmp_path / "a:0.5"
    blue_square.save(path, "PNG")
    for picture in (blue_square, encoded(blue_square), path, str(path), f"{path}:2.0"):
        assert place(lib.find(image=picture, top=1)[0]) == BLUE_SQUARE


def test_filters_hold(lib):
    assert {moment.key for moment in lib.find("a blue square", per_video=1)} == set(lib.videos())
    assert len(lib.find("a blue square", min_score=0.9)) == 1
    assert len(lib.find("a blue square", under="elsewhere")) == 0
    with pytest.raises(QueryError, match="top is 0"):
        lib.find("a blue square", top=0)


def test_the_scores_over_a_video_are_those_of_its_moments(lib):
    (best, *_) = lib.find("a blue square")
    scores = lib.scores("shapes.mp4", "a blue square")
    assert scores.duration_ms == 6000
    assert scores.times_ms[scores.scores.argmax()] == best.best_ms
    assert abs(scores.scores.max() - best.score) < 1e-5
    with pytest.raises(QueryError, match="isn't among"):
        lib.scores("nothing.mp4", "a blue square")


def test_a_moment_shows_what_is_stored_and_else_the_video(lib, demo_library, monkeypatch):
    moment = lib.find("a blue square")[0]
    for side in (64, 160):
        picture = moment.thumbnail()
        assert picture.width == side
        red, _, blue = np.asarray(picture, np.int64)[picture.height // 2, picture.width // 2]
        assert blue > red + 60
        monkeypatch.setattr("clip_assets.core.search.thumbnail.kept_picture", lambda *_: None)
    with pytest.raises(ResultMissingError):
        Moment("a.mp4", 0.0, 1.0, 0.0, 0.5).thumbnail()


def test_answers_are_a_data_frame(lib):
    frame = lib.find("a blue square", top=2).to_pandas()
    assert list(frame.columns) == [
        "key", "from_ms", "to_ms", "best_ms", "score", "probability", "fits_better", "also_in",
        "score_kind",
    ]  # fmt: skip
    assert tuple(frame.loc[0, ["key", "from_ms", "to_ms"]]) == BLUE_SQUARE
    assert set(frame["score_kind"]) == {"softmax"}


def test_what_is_stored_can_be_read(lib):
    assert lib.videos() == ("rotated.mp4", "shapes.mp4", "variable_rate.mp4")
    assert isinstance(lib.features("shapes.mp4"), ClipFeatures)
    np.testing.assert_array_equal(lib.shots("shapes.mp4").to_ms, [1750.0, 3750.0, 6000.0])
    with pytest.raises(ResultMissingError):
        lib.shots("none.mp4")


def test_videos_are_compared_by_their_vectors(lib):
    likes = lib.similar("shapes.mp4")
    assert {video.key for video in likes} == {"rotated.mp4", "variable_rate.mp4"}
    assert likes[0].score >= likes[1].score
    with pytest.raises(QueryError, match="isn't among the 3"):
        lib.similar("none.mp4")


def test_file_names_that_contain_the_words_are_told(lib):
    assert lib.find("the shapes").names == ("shapes.mp4",)
    assert lib.find("a blue square").names == ()


def test_a_sentence_that_is_not_english_is_remarked_on_once(lib):
    assert [note for note in lib.find("ein grünes Dreieck", text="ein größeres").notes if "English" in note] == [
        "OpenAI's CLIP reads English: a sentence in another language finds little."
    ]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"sentence": ""}, QueryError, "empty"),
        ({"sentence": " \n"}, QueryError, "empty"),
        ({"text": ":0.5"}, None, ""),
        ({}, QueryError, "nothing to look for"),
        ({"sentence": "word " * 10_000}, TextError, "tokens"),
        ({"like": "shapes.mp4"}, QueryError, "names no moment"),
        ({"like": "shapes.mp4@9"}, QueryError, "lasts 6 s"),
        ({"like": "none.mp4@1"}, QueryError, "isn't among"),
        ({"image": "no/such.png"}, QueryError, "can't be read"),
        ({"image": b"no picture"}, QueryError, "can't be read"),
        ({"text": "a dog", "without": "a dog:1.0"}, QueryError, "cancels out"),
    ],
)
def test_a_question_that_can_not_be_asked_says_why(lib, asked, error, words):
    if error is None:
        lib.find(**asked)
        return
    with pytest.raises(error, match=words):
        lib.find(**asked)


def bomb() -> bytes:
    """A PNG of a few bytes that claims to be 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (60_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_picture_that_would_fill_the_memory_is_refused():
    with pytest.raises(QueryError, match="pixels"):
        read_picture(bomb())
    with pytest.raises(QueryError, match="pixels"):
        read_picture(Image.new("1", (20_000, 10_000)))


def test_a_picture_stands_upright_and_has_no_transparency():
    picture = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", exif=exif)
    assert read_picture(buffer.getvalue()).shape == (4, 2, 3)
    assert read_picture(picture).shape == (2, 4, 3)


def test_the_model_is_the_one_that_most_videos_have_unless_one_is_named(tmp_path, monkeypatch):
    made = MadeLibrary(tmp_path)
    for number in range(3):
        made.add(f"{number}.mp4", clip_of((number, 6)), weights=("a" if number else "b") * 64)
    lib = clip_assets.open_library(tmp_path / "output", videos=made.videos)
    assert lib.videos() == ("1.mp4", "2.mp4")
    found = lib.find(like="1.mp4@1")
    assert [moment.key for moment in found] == ["1.mp4", "2.mp4"]
    assert found.notes == ("1 video has another model and isn't searched.",)
    named = clip_assets.open_library(tmp_path / "output", videos=made.videos, model="demo")
    assert named.find("a cat").notes == ("3 videos have another model and aren't searched.",)
    monkeypatch.setenv("CLIP_ASSETS_MODEL_NAME", "demo")
    assert clip_assets.open_library(tmp_path / "output", videos=made.videos).videos() == ()
    with pytest.raises(SettingsError, match="not allowed"):
        clip_assets.open_library(tmp_path / "output", model="nonsense")


def test_a_large_library_is_compared_in_the_background_and_at_once_on_request(tmp_path, monkeypatch):
    made = MadeLibrary(tmp_path)
    made.add("a.mp4", clip_of((0, 6)))
    monkeypatch.setattr(comparing, "SMALL_LIBRARY", 0)
    lib = clip_assets.open_library(tmp_path / "output", videos=made.videos)
    assert lib.videos() == ("a.mp4",)
    made.add("b.mp4", clip_of((1, 6)))
    found = lib.find(like="a.mp4@1")
    assert {moment.key for moment in found} == {"a.mp4"}
    assert found.as_of.timestamp() <= time.time()
    assert {moment.key for moment in lib.find(like="a.mp4@1", refresh=True)} == {"a.mp4", "b.mp4"}
    made.add("c.mp4", clip_of((2, 6)))
    monkeypatch.setattr(comparing, "LOOK_SECONDS", 0.0)
    lib.find(like="a.mp4@1")
    lib.wait()
    assert lib.videos() == ("a.mp4", "b.mp4", "c.mp4")


def test_the_package_and_a_repeated_sentence_import_neither_torch_nor_dagster(lib, demo_library):
    lib.find("a blue square")
    program = f"""
import sys, clip_assets
assert not {{"torch", "dagster", "numpy"}} & set(sys.modules)
assert "open_library" in dir(clip_assets)
lib = clip_assets.open_library({str(demo_library / "output")!r}, videos={str(demo_library / "videos")!r})
assert lib.find("a blue square")[0].key == "shapes.mp4"
assert not {{"torch", "dagster", "pandas", "av", "PIL"}} & set(sys.modules), sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_moment_of_a_video_that_was_computed_anew_is_that_of_its_new_features(tmp_path):
    made = MadeLibrary(tmp_path)
    made.add("a.mp4", clip_of((0, 6)))
    made.add("b.mp4", clip_of((1, 6), (2, 6)))
    lib = clip_assets.open_library(tmp_path / "output", videos=made.videos)
    assert lib.find(like="a.mp4@1", top=1)[0].key == "a.mp4"
    made.compute("a.mp4", clip_of((2, 9)))
    assert [moment.key for moment in lib.find(like="a.mp4@1", top=2, min_score=0.9)] == ["a.mp4", "b.mp4"]


def test_a_prepared_library_has_loaded_the_model_before_the_first_question(lib, monkeypatch):
    assert lib.prepare()
    monkeypatch.setattr(encoders.Encoders, "_load_model", None)
    assert place(lib.find("a blue square that nobody asked for yet")[0])


def test_a_question_that_comes_during_the_first_comparison_waits_for_it(tmp_path, demo_library, monkeypatch):
    shutil.copytree(demo_library / "output", tmp_path / "output")
    lib = clip_assets.open_library(tmp_path / "output", videos=demo_library / "videos")
    began, go_on, refresh = threading.Event(), threading.Event(), lib._upkeep.refresh

    def slow(progress: object) -> None:
        began.set()
        go_on.wait()
        refresh(progress)

    monkeypatch.setattr(lib._upkeep, "refresh", slow)
    with ThreadPoolExecutor() as threads:
        prepared = threads.submit(lib.prepare)
        began.wait()
        found = threads.submit(lib.find, "a blue square")
        is_answered = wait([found], timeout=0.2).done
        go_on.set()
        assert not is_answered
        assert place(found.result()[0]) == BLUE_SQUARE
        assert prepared.result()


def test_a_library_whose_weights_are_elsewhere_is_not_prepared_by_a_download(tmp_path, demo_library, monkeypatch):
    monkeypatch.setattr("clip_assets.core.model.openai.weights._download", None)
    store = Store(tmp_path / "output")
    stored = Store(demo_library / "output")
    manifest = stored.manifest("clip_features", "shapes.mp4")
    parameters = {**manifest.parameters, "model_name": "RN50", "weights_sha256": model_sha256("RN50")}
    features = stored.read("clip_features", "shapes.mp4", ClipFeatures)
    store.write("clip_features", "shapes.mp4", features, data_version="1", parameters=parameters)
    monkeypatch.setenv("CLIP_ASSETS_WEIGHTS", str(tmp_path))
    assert not clip_assets.open_library(tmp_path / "output", videos=demo_library / "videos").prepare()


def test_a_library_with_nothing_stored_has_nothing_to_prepare(tmp_path):
    assert clip_assets.open_library(tmp_path / "output", videos=tmp_path).prepare()
