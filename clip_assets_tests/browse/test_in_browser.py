"""The pages in a real browser, as a person uses them: ask, see it first, click, and what was asked for is on screen."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from clip_assets.browse.app import create_app
from clip_assets.browse.holdings import VideoState
from clip_assets.core.video import decode, probe
from clip_assets.demo.shapes import Shape, draw, plain
from clip_assets.settings import Settings
from clip_assets_tests.browse.served import served
from clip_assets_tests.making.browser import OPTIONS, find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

ON_SCREEN = """video => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    return [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data.slice(0, 3)];
}"""
"""The colour in the middle of what a video shows."""

STANDS = "video => video.readyState >= 2 && !video.seeking"


@pytest.fixture(scope="module")
def address(demo_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the pages of the demo's clips, one of them as HEVC, which Chromium doesn't play; and of a broken video."""
    folder = tmp_path_factory.mktemp("browsed")
    shutil.copytree(demo_library, folder, dirs_exist_ok=True)
    _encode_as_hevc(demo_library / "videos" / "variable_rate.mp4", folder / "videos" / "variable_rate.mp4")
    settings = Settings(output=str(folder / "output"), videos=folder / "videos", device_ids="cpu")
    states = {"broken.mp4": VideoState("failed", "it is no video")}
    app = create_app(settings, states=lambda: states)
    with served(app) as address:
        yield address


def _encode_as_hevc(video: Path, target: Path) -> None:
    source = probe(video)
    with decode(source, np.arange(source.frame_count)) as frames, av.open(str(target), "w") as output:
        stream = output.add_stream("libx265", rate=10, options={"preset": "ultrafast", "x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame.rgb, format="rgb24")
            picture.pts = frame.index
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if find_browser() is None:
        pytest.skip("no Chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page; what it logs as an error, or asks of another server, fails the test."""
    context = browser.new_context(reduced_motion="reduce", **getattr(request, "param", {}))
    page = context.new_page()
    page.set_default_timeout(60_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text) if "Content Security" in told.text else None)
    page.on("request", lambda asked: wrong.append(asked.url) if "//127.0.0.1:" not in asked.url else None)
    yield page
    context.close()
    assert wrong == []


def colour_of(page: Page) -> tuple[int, int, int]:
    video = page.locator("video")
    assert video.is_visible()
    assert not page.locator(".player-still").is_visible()
    page.wait_for_function(STANDS, arg=video.element_handle())
    red, green, blue = video.evaluate(ON_SCREEN)
    return red, green, blue


def is_blue(colour: tuple[int, int, int]) -> bool:
    return colour[2] > 150 > max(colour[:2])


@pytest.mark.parametrize("page", [{}, {"java_script_enabled": False}], indirect=True, ids=["", "without JavaScript"])
def test_what_is_asked_for_is_seen_first_and_played(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("searchbox").fill("a blue square")
    page.get_by_role("button", name="Search").click()
    first = page.locator(".card").first
    assert "shapes.mp4" in first.inner_text()
    first.locator(".card-link").click()
    page.locator("video").wait_for()
    assert page.locator(".mark-played").count() == 1
    played = page.url
    assert "at=shapes.mp4" in played
    assert is_blue(colour_of(page))


def test_the_keyboard_alone_is_enough(page: Page, address: str) -> None:
    page.goto(f"{address}/videos")
    page.keyboard.press("/")
    page.keyboard.type("a blue square")
    page.keyboard.press("Enter")
    page.locator(".card").first.wait_for()
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    page.locator("video").wait_for()
    assert is_blue(colour_of(page))
    page.keyboard.press("Escape")
    page.locator("video").wait_for(state="detached")
    assert "at=" not in page.url


def test_a_click_on_the_timeline_leads_there(page: Page, address: str) -> None:
    page.goto(f"{address}/search?q=a%20red%20circle&at=shapes.mp4@0-1")
    colour_of(page)
    chart = page.locator(".chart svg")
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] * 3 / 6, "y": 20})
    page.wait_for_function("() => Math.abs(document.querySelector('video').currentTime - 3) < 0.1")
    assert is_blue(colour_of(page))


def test_where_nothing_can_be_played_there_are_pictures(page: Page, address: str) -> None:
    page.route("**/media/**", lambda route: route.abort())
    page.route("**/stretch/**", lambda route: route.abort())
    page.goto(f"{address}/search?q=a%20blue%20square&at=shapes.mp4@1.75-3.75")
    page.get_by_text("Choose a time to see its picture").wait_for()
    page.wait_for_function("() => document.querySelector('.player-still').naturalWidth === 320")
    assert not page.locator("video").is_visible()


def test_what_the_browser_cannot_play_is_encoded_anew(page: Page, address: str) -> None:
    page.goto(f"{address}/video/variable_rate.mp4?t=1")
    page.get_by_text("This is a stretch").wait_for()
    red, green, blue = colour_of(page)
    assert min(red, green) > 150 > blue, "a yellow star"
    page.evaluate("() => player.seek(3.5)")
    page.wait_for_function("() => Math.abs(player.time - 3.5) < 0.1")
    assert colour_of(page) != (red, green, blue)


SHIFTS = """() => {
    window.shifts = [];
    const observer = new PerformanceObserver((list) => shifts.push(...list.getEntries()));
    observer.observe({type: "layout-shift", buffered: true});
}"""
"""Notes how far what is on screen moves by itself."""

SHARP = "() => document.querySelector('.picture img')?.naturalWidth !== 64"
"""Whether the first picture is the frame itself and no more the kept one."""


def test_nothing_moves_while_pictures_become_sharp(page: Page, address: str) -> None:
    page.add_init_script(f"({SHIFTS})()")
    for path in ("/", "/videos", "/search?q=a&at=shapes.mp4@1-2", "/video/shapes.mp4"):
        page.goto(address + path)
        page.locator(".picture img").first.scroll_into_view_if_needed()
        page.wait_for_function(SHARP)
        assert page.evaluate("() => shifts.reduce((sum, one) => sum + one.value, 0)") < 0.01, path


def test_a_failed_video_shows_its_reason(page: Page, address: str) -> None:
    page.goto(address)
    assert page.get_by_text("it is no video").is_visible()
    page.get_by_role("link", name="broken.mp4").click()
    assert page.get_by_text("failed: it is no video").is_visible()


def test_more_like_a_moment_and_not_like_it(page: Page, address: str) -> None:
    page.goto(f"{address}/search?q=a%20red%20circle")
    first = page.locator(".card").first
    found = first.locator(".key, .facts > span:first-child").all_inner_texts()
    first.get_by_text("more like this").click()
    page.get_by_role("link", name="like shapes.mp4").wait_for()
    assert first.locator(".key, .facts > span:first-child").all_inner_texts() == found
    page.go_back()
    first.get_by_text("not this").click()
    page.get_by_role("link", name="not like shapes.mp4").wait_for()
    assert page.locator(".card", has_text="shapes.mp4").filter(has_text=found[1]).count() == 0
    assert page.locator(".card").count() > 1


@pytest.mark.parametrize("count", [0, 1, 1000])
@pytest.mark.parametrize("page", [{"viewport": {"width": 360, "height": 700}}], indirect=True)
def test_neither_few_nor_many_videos_nor_long_names_break_a_page(page: Page, tmp_path: Path, count: int) -> None:
    names = [f"folder {number % 7}/{number:04d}{'_and_more' * 22}.mp4"[:200] for number in range(count)]
    states = {name: VideoState("failed" if number % 3 == 1 else "waiting") for number, name in enumerate(names)}
    app = create_app(Settings(output=str(tmp_path / "output"), videos=tmp_path / "videos"), states=lambda: states)
    with served(app) as address:
        for path in (
            "/",
            "/videos?size=1000",
            "/videos?view=table",
            "/search?q=a",
            *(f"/video/{one}" for one in names[:1]),
        ):
            page.goto(address + path)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= 360, path
        page.goto(f"{address}/videos?size=1000")
        assert page.locator(".card").count() == count


@pytest.mark.parametrize("page", [{"viewport": {"width": 360, "height": 700}}], indirect=True)
def test_nothing_is_wider_than_a_narrow_screen(page: Page, address: str) -> None:
    for path in ("/", "/videos", "/videos?view=table", "/search?q=a&at=shapes.mp4@1-2", "/video/shapes.mp4"):
        page.goto(address + path)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 360, path


@pytest.mark.parametrize("page", [{"bypass_csp": True, "color_scheme": "dark"}, {"bypass_csp": True}], indirect=True)
def test_axe_finds_nothing_serious(page: Page, address: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for path in ("/", "/videos?view=table", "/search?q=a&at=shapes.mp4@1-2", "/video/shapes.mp4", "/search"):
        page.goto(address + path)
        found = axe.run(page).response["violations"]
        assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == [], path


def test_an_uploaded_picture_finds_what_it_shows(page: Page, address: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(draw(Shape("blue", "square", 0.5, 0.5, 0.6, 5.0), plain(320, 240, (240, 200, 120)))).save(
        buffer, "PNG"
    )
    page.goto(f"{address}/search")
    page.get_by_label("Picture").set_input_files(
        {"name": "a.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    )
    page.get_by_role("button", name="Look for it").click()
    page.get_by_role("link", name="like this picture").wait_for()
    assert "0:01.8" in page.locator(".card").first.inner_text()
