"""Several libraries on one server: each below its own address, and a switch between them."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from clip_assets.browse.app import Served, create_app
from clip_assets.browse.question import Question
from clip_assets.settings import LibrarySettings
from clip_assets_tests.browse.client import Client

ROOT = "/library/films"
STATIC = ("/static/",)


@pytest.fixture(scope="module")
def client(demo_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """An empty library without a name, and the demo's clips as one that has a name."""
    empty = tmp_path_factory.mktemp("empty")
    (empty / "videos").mkdir()
    films = LibrarySettings(
        name="films", output=str(demo_library / "output"), videos=demo_library / "videos", device_ids="cpu"
    )
    first = LibrarySettings(output=str(empty / "output"), videos=empty / "videos")
    return Client(create_app(first, others=[Served(films)], dagster="http://127.0.0.1:3000"))


@pytest.mark.parametrize("path", ["/", "/videos", "/search?q=a+blue+square", "/video/shapes.mp4"])
def test_the_pages_of_a_library_lead_to_its_own(client: Client, path: str) -> None:
    page = client.get(ROOT + path).text
    assert "shapes.mp4" in page
    addresses = {unescape(found) for found in re.findall(r'(?:href|src|action|data-\w+)="(/[^"]*)"', page)}
    elsewhere = {address for address in addresses if not address.startswith((f"{ROOT}/", *STATIC))}
    assert elsewhere == {"/search?q=a%20blue%20square" if "search" in path else "/"}  # the switch


def test_what_they_lead_to_is_there(client: Client) -> None:
    page = client.get(f"{ROOT}/search?q=a+blue+square").text
    for address in set(re.findall(rf'src="({ROOT}/picture/[^"]*)"', page)):
        answer = client.get(unescape(address))
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")


def test_the_switch_names_all_and_marks_the_one_that_is_shown(client: Client) -> None:
    for path, shown in (("/", "videos"), (f"{ROOT}/", "films")):
        page = client.get(path).text
        assert re.findall(r'<li><a href="([^"]*)"(?: aria-current="true")?>(\w+)</a></li>', page) == [
            ("/", "videos"),
            (f"{ROOT}/", "films"),
        ]
        assert re.findall(r'aria-current="true">(\w+)<', page) == [shown]


def test_the_switch_keeps_what_another_library_can_be_asked_too() -> None:
    question = Question(q="a dog", like=("a.mp4@1-2",), image="x", under="films", min_score=0.3, at="a.mp4@3", top=40)
    assert question.elsewhere(of_same_videos=False) == "/search?q=a%20dog&top=40"
    same = question.elsewhere(of_same_videos=True)
    assert same == "/search?q=a%20dog&like=a.mp4%401-2&under=films&top=40"
    assert Question(image="x").elsewhere(of_same_videos=True) == "/"


def test_one_library_has_no_switch(demo_library: Path) -> None:
    alone = LibrarySettings(output=str(demo_library / "output"), videos=demo_library / "videos")
    assert 'class="switch"' not in Client(create_app(alone)).get("/").text


def test_a_video_is_linked_to_its_partition_in_dagster(client: Client) -> None:
    page = unescape(client.get(f"{ROOT}/video/shapes.mp4").text)
    assert "http://127.0.0.1:3000/assets/films/clip_features?view=partitions&partition=shapes.mp4" in page


def test_an_address_of_no_library_is_not_found(client: Client) -> None:
    assert client.get("/library/other/").status == 404
    assert client.get(f"{ROOT}/nothing").status == 404
