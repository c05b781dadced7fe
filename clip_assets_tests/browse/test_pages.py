"""The pages: what they show of the demo's library, of an empty one, of one with videos that failed."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_assets.browse.app import create_app
from clip_assets.browse.holdings import VideoState
from clip_assets.core.video import probe
from clip_assets.core.video.clips import cut
from clip_assets.demo.shapes import Shape, draw, plain
from clip_assets.settings import Settings
from clip_assets_tests.browse.client import Client

NASTY = "<script>alert(1)</script>.mp4"


def settings(folder: Path) -> Settings:
    return Settings(output=str(folder / "output"), videos=folder / "videos", device_ids="cpu")


@pytest.fixture(scope="module")
def client(demo_library: Path) -> Client:
    return Client(create_app(settings(demo_library), dagster="http://127.0.0.1:3000"))


@pytest.fixture
def empty(tmp_path: Path) -> Client:
    (tmp_path / "videos").mkdir()
    return Client(create_app(settings(tmp_path)))


def links(page: str, kind: str) -> list[str]:
    return [unescape(found) for found in re.findall(r'(?:href|src)="(/[^"]*)"', page) if found.startswith(f"/{kind}")]


def test_the_pages_load_neither_dagster_nor_torch() -> None:
    loaded = "import clip_assets.browse.app, sys; sys.exit(bool({'dagster', 'torch', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", loaded], check=False).returncode == 0


def test_the_first_page_shows_what_the_library_holds(client: Client) -> None:
    page = client.get("/").text
    assert "<strong>3</strong> videos" in page
    assert "model <strong>demo</strong>" in page
    for key in ("shapes.mp4", "rotated.mp4", "variable_rate.mp4"):
        assert f'href="/video/{key}"' in page


def test_an_empty_library_says_what_to_do(empty: Client) -> None:
    assert "clip-assets add" in empty.get("/").text
    assert "The library is empty" in empty.get("/videos").text
    assert "Nothing is stored yet" in empty.get("/search?q=a%20dog").text


def test_failed_videos_come_first_with_their_reason(demo_library: Path) -> None:
    states = {"broken.mp4": VideoState("failed", "it is no video"), NASTY: VideoState("waiting")}
    client = Client(create_app(settings(demo_library), states=lambda: states))
    page = client.get("/").text
    assert page.index("it is no video") < page.index("Newest videos")
    assert "it is no video" in client.get("/video/broken.mp4").text
    assert "broken.mp4" in client.get("/videos?state=failed").text
    assert "shapes.mp4" not in client.get("/videos?state=failed").text
    assert "<script>alert" not in client.get("/videos").text


def test_a_video_whose_file_is_gone_is_counted_and_says_so(demo_library: Path) -> None:
    states = {"shapes.mp4": VideoState("gone"), "rotated.mp4": VideoState("done")}
    client = Client(create_app(settings(demo_library), states=lambda: states))
    assert 'href="/videos?state=gone"><strong>1</strong> gone' in client.get("/").text
    assert "isn't in the library any more" in client.get("/video/shapes.mp4").text
    assert "rotated.mp4" not in client.get("/videos?state=gone").text


def test_a_sentence_finds_its_moment_first_and_the_player_stands_in_it(client: Client) -> None:
    page = client.get("/search?q=a%20blue%20square").text
    played = next(link for link in links(page, "search") if "at=" in link)
    assert "shapes.mp4%401.75-3.75" in played
    stage = client.get(played.partition("#")[0]).text
    assert 'src="/media/shapes.mp4#t=2.002"' in stage  # a sample of the moment, not the edge midway to the one before
    assert stage.count("mark-played") == 1


def test_more_like_this_and_not_this_are_asked(client: Client) -> None:
    alike = links(client.get("/search?like=shapes.mp4%401.75-3.75").text, "picture")[0]
    assert 1.75 <= float(alike.partition("/picture/shapes.mp4?t=")[2].partition("&")[0]) <= 3.75
    unlike = links(client.get("/search?like=shapes.mp4%400-6&unlike=shapes.mp4%401.75-3.75").text, "picture")[0]
    assert not unlike.startswith(("/picture/shapes.mp4?t=2", "/picture/shapes.mp4?t=3"))


def test_a_moment_that_was_said_to_be_wrong_is_not_shown_again(client: Client) -> None:
    page = client.get("/search?q=a%20blue%20square&top=1").text
    wrong = next(link for link in links(page, "search") if "unlike=" in link)
    assert "unlike=shapes.mp4%401.75-3.75" in wrong
    played = [link for link in links(client.get(wrong).text, "search") if "at=" in link]
    assert len(played) == 1
    assert "at=shapes.mp4%401.75-3.75" not in played[0]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("/search?q=a&min_score=much", "allowed is a number"),
        ("/search?q=a&top=0", "allowed is a whole number"),
        ("/search?like=nothing.mp4%401", "isn&#39;t among"),
        ("/search?like=nothing", "names no moment"),
        ("/search?image=0123", "Upload it again"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(client: Client, address: str, told: str) -> None:
    answer = client.get(address)
    assert answer.status == 400
    assert told in answer.text


def test_a_video_shows_its_facts_shots_and_where_it_is_in_dagster(client: Client) -> None:
    page = client.get("/video/shapes.mp4?t=2.5").text
    assert 'src="/media/shapes.mp4#t=2.500"' in page
    assert len(re.findall(r'<li><a data-seek="[0-9.]+" href', page)) == 3
    assert "http://127.0.0.1:3000/assets/clip_features?view=partitions&partition=shapes.mp4" in unescape(page)
    assert "<span>12 frames</span>" in page


def test_the_list_is_filtered_sorted_and_paged(client: Client) -> None:
    page = client.get("/videos?sort=longest&view=table").text
    assert re.findall(r'<a href="/video/([^"]+)"', page)[0] == "shapes.mp4"
    assert "1 video<" in client.get("/videos?name=ROT").text


def test_a_picture_is_the_kept_one_and_the_sharp_one_the_frame_itself(client: Client) -> None:
    kept = Image.open(io.BytesIO(client.get("/picture/shapes.mp4?t=2.5&from=2&to=3.5").body))
    sharp = Image.open(io.BytesIO(client.get("/picture/shapes.mp4?t=2.5&sharp=1").body))
    assert kept.width == kept.height == 64
    assert sharp.size == (320, 240)
    red, green, blue = np.asarray(sharp.convert("RGB"))[120, 160]
    assert blue > 150 > max(red, green)


def test_an_upright_picture_of_a_turned_video(client: Client) -> None:
    sharp = Image.open(io.BytesIO(client.get("/picture/rotated.mp4?t=1&sharp=1").body))
    assert sharp.height > sharp.width


def test_a_video_is_sent_in_ranges(client: Client, demo_library: Path) -> None:
    whole = (demo_library / "videos" / "shapes.mp4").read_bytes()
    part = client.get("/media/shapes.mp4", range="bytes=100-199")
    assert part.status == 206
    assert part.body == whole[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"


def test_a_stretch_shows_what_the_video_shows_from_then_on(client: Client, tmp_path: Path) -> None:
    answer = client.get("/stretch/shapes.mp4?from=2.1")
    assert answer.status == 200
    (tmp_path / "stretch.mp4").write_bytes(answer.body)
    video = probe(tmp_path / "stretch.mp4")
    assert abs(video.duration_ms - 3900) < 1
    assert client.get("/stretch/shapes.mp4?from=99").status == 404


def test_a_large_video_is_made_smaller_in_a_stretch(demo_library: Path, tmp_path: Path) -> None:
    cut(demo_library / "videos" / "rotated.mp4", 0, 500, tmp_path / "small.mp4", side=100)
    video, whole = probe(tmp_path / "small.mp4"), probe(demo_library / "videos" / "rotated.mp4")
    assert max(video.width, video.height) == 100
    assert abs(video.width / video.height - whole.width / whole.height) < 0.03


def test_an_uploaded_picture_is_looked_for(client: Client) -> None:
    buffer = io.BytesIO()
    Image.fromarray(draw(Shape("blue", "square", 0.5, 0.5, 0.6, 5.0), plain(320, 240, (240, 200, 120)))).save(
        buffer, "PNG"
    )
    answer = client.upload("/search", buffer.getvalue())
    assert answer.status == 303
    page = client.get(answer.headers["location"]).text
    assert links(page, "picture")[0].startswith("/picture/shapes.mp4?t=")
    shown = client.get(f"/upload/{answer.headers['location'].partition('image=')[2]}")
    assert Image.open(io.BytesIO(shown.body)).size == (320, 240)


def test_an_upload_that_is_no_picture_or_too_large_is_refused(client: Client) -> None:
    assert client.upload("/search", b"This is no picture.").status == 400
    huge = io.BytesIO()
    Image.new("1", (10_000, 5_001)).save(huge, "PNG")
    assert client.upload("/search", huge.getvalue()).status == 400
    assert client.send("POST", "/search", b"", content_length=str(21 * 2**20 + 10**6)).status == 413
    assert client.send("POST", "/search", b"").status == 411


def test_the_first_page_says_which_runs_are_at_work(demo_library: Path) -> None:
    lines = ["1 run at work.", "gpu-1, process 4711: 16 videos"]
    page = Client(create_app(settings(demo_library), workers=lambda: lines)).get("/").text
    assert all(line in page for line in lines)
