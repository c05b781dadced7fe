"""``clip-assets find`` and ``similar``: what they print and write, and that nothing in a key leads astray."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest

from clip_assets.asking.answers import Moment, Moments
from clip_assets.cli import main
from clip_assets.cli.find import as_csv, as_html, write_projects
from clip_assets.core.errors import VideoError
from clip_assets.core.library.folder import Folder
from clip_assets.core.video import decode, probe
from clip_assets.core.video.clips import cut
from clip_assets.demo import demo_clips

HOSTILE = "../\"a'\n<script>alert(1)</script>,=1+1.mp4"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, demo_library):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIP_ASSETS_OUTPUT", str(demo_library / "output"))
    monkeypatch.setenv("CLIP_ASSETS_VIDEOS", str(demo_library / "videos"))


def test_a_sentence_is_answered_by_a_table(capsys):
    assert main(["find", "a blue square", "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "shapes.mp4" in line)
    assert "1.75 - 3.75" in row
    assert "%" in row


@pytest.mark.parametrize(
    "asked",
    [
        ["--like", "shapes.mp4@3"],
        ["--text", "a blue square:1.0", "--not", "a red circle"],
        ["a blue square", "--under", "", "--min-score", "0.5", "--per-video", "1", "--model", "demo"],
    ],
)
def test_each_form_of_question_is_answered(capsys, asked):
    assert main(["find", *asked, "--json", "--top", "1"]) == 0
    (moment,) = json.loads(capsys.readouterr().out)["moments"]
    assert (moment["key"], moment["from_ms"], moment["to_ms"]) == ("shapes.mp4", 1750.0, 3750.0)


def test_an_answer_is_written_as_page_clips_and_projects(capsys, tmp_path, demo_library):
    asked = ["find", "a blue square", "--min-score", "0.5", "--csv"]
    assert main([*asked, "--html", "page.html", "--clips", "clips", "--llc", "llc"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["key"], float(row["from_ms"])) == ("shapes.mp4", 1750.0)
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 1
    (clip,) = (tmp_path / "clips").iterdir()
    assert clip.name == "01_shapes.mp4_1.75-3.75.mp4"
    assert probe(clip).duration_ms == pytest.approx(2000.0, abs=1.0)
    project = json.loads((tmp_path / "llc" / "shapes.mp4.llc").read_text())
    assert project["cutSegments"][0] | {"name": ""} == {"start": 1.75, "end": 3.75, "name": ""}
    assert (tmp_path / "llc" / project["mediaFileName"]).samefile(demo_library / "videos" / "shapes.mp4")


def test_similar_videos_are_listed(capsys):
    assert main(["similar", "shapes.mp4"]) == 0
    assert "rotated.mp4" in capsys.readouterr().out
    assert main(["similar", "shapes.mp4", "--json", "--top", "1"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_an_empty_library_says_what_to_do(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIP_ASSETS_OUTPUT", str(tmp_path / "nothing"))
    assert main(["find", "a blue square"]) == 1
    assert main(["similar", "shapes.mp4"]) == 1
    assert "clip-assets demo" in capsys.readouterr().err


@pytest.mark.parametrize("asked", [["find"], ["find", ""], ["find", "word " * 10_000], ["find", "--like", "a.mp4"]])
def test_a_question_that_can_not_be_asked_is_an_error(capsys, asked):
    assert main(asked) == 2
    assert capsys.readouterr().err.startswith("clip-assets: ")


def found(key: str) -> Moments:
    return Moments((Moment(key, 1750.0, 3750.0, 3000.0, 0.9, 0.8, also_in=(key, "b.mp4")),))


def test_a_hostile_key_stays_one_field_of_a_csv():
    (row,) = csv.DictReader(io.StringIO(as_csv(found(HOSTILE))))
    assert row["key"] == HOSTILE
    assert row["also_in"] == f"{HOSTILE}\nb.mp4"


def test_a_hostile_key_stays_text_on_a_page():
    seen = []
    page = as_html(HOSTILE, found(HOSTILE))
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: seen.append(tag)
    parser.feed(page)
    assert "h1" in seen
    assert "script" not in seen
    assert "&lt;script&gt;" in page


def test_a_hostile_key_stays_below_the_folder_of_projects(tmp_path):
    folder = tmp_path / "llc"
    (path,) = write_projects(found(HOSTILE), Folder(tmp_path / "videos"), folder)
    assert path.resolve().is_relative_to(folder.resolve())
    assert json.loads(path.read_text())["cutSegments"] == [{"start": 1.75, "end": 3.75, "name": "0.900"}]


def test_a_clip_holds_the_frames_between_its_times_for_as_long_as_they_were_shown(tmp_path):
    clip = next(path for path in demo_clips() if path.name == "variable_rate.mp4")
    source = probe(clip)
    times = source.timestamps_ms
    begin, end = 250.0, 1500.0
    cut(clip, begin, end, tmp_path / "cut.mp4")
    made = probe(tmp_path / "cut.mp4")
    inside = np.flatnonzero((times < end) & (np.append(times[1:], source.duration_ms) > begin))
    expected = np.maximum(times[inside] - begin, 0.0)
    np.testing.assert_allclose(made.timestamps_ms, expected, atol=1.0)
    assert made.duration_ms == pytest.approx(end - begin, abs=1.0)
    with decode(source, inside[[5]]) as one, decode(made, np.array([5])) as other:
        difference = np.abs(next(one).rgb.astype(int) - next(other).rgb)
    assert difference.mean() < 4
    with av.open(str(tmp_path / "cut.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_a_clip_of_nothing_is_refused(tmp_path):
    with pytest.raises(VideoError, match="shows nothing"):
        cut(demo_clips()[0], 90_000.0, 91_000.0, tmp_path / "cut.mp4")
    assert list(Path(tmp_path).glob("*.mp4")) == []
