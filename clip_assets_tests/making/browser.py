"""Dagster's UI in a real browser, used as a person uses it; for the browser test and the documentation's pictures."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from dotenv import dotenv_values
from PIL import Image

from clip_assets.demo import demo_clips, demo_environment
from clip_assets.project import INSTANCE_SETTINGS
from clip_assets_tests.making.server import DagsterServer

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
VIEW = {"width": 1400, "height": 1000}
RUN_SECONDS = 400
BLANK_DEVIATION = 5.0
"""Of a picture's grey levels: below, nothing can be seen on it."""


def find_browser() -> str | None:
    """The path of an installed Chromium."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def make_deployment(folder: Path) -> dict[str, str]:
    """The demo's clips and a broken video in a library, none registered; the environment that names it all."""
    home, videos = folder / "home", folder / "videos"
    home.mkdir()
    videos.mkdir()
    shutil.copy(INSTANCE_SETTINGS, home)
    for clip in demo_clips():
        shutil.copy(clip, videos)
    (videos / "broken.mp4").write_text("This is no video.\n")
    demo = {name: value or "" for name, value in dotenv_values(demo_environment()).items()}
    return {
        **demo,
        "DAGSTER_HOME": str(home),
        "CLIP_ASSETS_VIDEOS": str(videos),
        "CLIP_ASSETS_OUTPUT": str(folder / "output"),
        "CLIP_ASSETS_WEIGHTS": str(folder / "weights"),
        "CLIP_ASSETS_EXTRACTION_FPS": "4",
        "CLIP_ASSETS_DEVICE_IDS": "cpu",
        "PYTHONPATH": str(ROOT),
    }


def register(environment: dict[str, str], *names: str) -> None:
    """Make partitions of videos of the library."""
    videos = [str(Path(environment["CLIP_ASSETS_VIDEOS"]) / name) for name in names]
    subprocess.run(
        [sys.executable, "-m", "clip_assets.cli", "add", *videos],
        env={**os.environ, **environment},
        cwd=environment["DAGSTER_HOME"],
        check=True,
    )


class UI:
    """The UI in a page of a browser."""

    def __init__(self, page: Page, server: DagsterServer) -> None:
        self.page = page
        self.server = server
        self._url = server.url

    def open_graph(self) -> None:
        """The graph of the assets."""
        self.page.goto(f"{self._url}/locations/clip_assets/asset-groups/clip/lineage")
        self.page.get_by_text("text_match", exact=True).first.wait_for()

    def open_asset(self, asset: str) -> None:
        """An asset's entry in the catalogue."""
        self.page.goto(f"{self._url}/assets/{asset}?view=overview")
        self.page.get_by_text("Columns", exact=True).wait_for()

    def open_launchpad(self, job: str) -> None:
        """A job's launchpad, with its scaffolded config."""
        self.page.goto(f"{self._url}/locations/clip_assets/jobs/{job}/playground")
        self.page.get_by_text("frame_indices:").first.wait_for()

    def open_partition(self, asset: str, key: str) -> None:
        """A partition's page, found by clicks on the asset's tab and the partition's name."""
        self.page.goto(f"{self._url}/assets/{asset}")
        self.page.get_by_role("tab", name="Partitions").click()
        self.page.get_by_text(key, exact=True).first.click()
        self.page.get_by_text("Metadata", exact=True).wait_for()

    def materialize(self, which: str) -> None:
        """Click on what is above the graph, choose partitions (All, Missing, Failed) and launch."""
        self.open_graph()
        self.page.get_by_role("button", name="Materialize all").click()
        self.page.get_by_role("button", name=which, exact=True).click()
        self.page.get_by_role("button", name=re.compile("Launch .*(run|backfill)")).click()

    def show_picture(self, name: str) -> Locator:
        """Open the picture with this name on the partition's page; the image in its dialog."""
        row = self.page.get_by_role("row").filter(has=self.page.get_by_role("cell", name=name, exact=True))
        row.get_by_text("[Show Markdown]").click()
        image = self.page.get_by_role("dialog").get_by_role("img").and_(self.page.locator("img"))
        image.wait_for()
        return image

    def close_dialog(self) -> None:
        """Close the dialog on top."""
        self.page.get_by_role("button", name=re.compile("Close|Done")).last.click()
        self.page.get_by_role("dialog").wait_for(state="detached")


def natural_width(image: Locator) -> int:
    """Pixels of an image that the browser has decoded; 0 of a broken one."""
    width: int = image.evaluate("image => image.decode().then(() => image.naturalWidth, () => 0)")
    return width


def grey_levels(image: Locator) -> np.ndarray:
    """What is on the screen at an image, float (H, W)."""
    return np.asarray(Image.open(io.BytesIO(image.screenshot())).convert("L"), dtype=np.float64)


@contextmanager
def browser_page(theme: str = "light") -> Iterator[Page]:
    """A page of an installed Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=OPTIONS)
        try:
            context = browser.new_context(viewport=VIEW, color_scheme=theme, reduced_motion="reduce")
            yield context.new_page()
        finally:
            browser.close()
