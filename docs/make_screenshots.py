"""Makes docs/images: starts the UI on the demo's clips and a broken video, clicks through it, keeps what is on screen.

Run it with ``make screenshots`` when what the UI shows has changed, and look at every picture. Folders of the machine
it runs on are shown under other names, so that no picture depends on where it was made.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from clip_assets_tests.browse.served import browsed
from clip_assets_tests.making.browser import RUN_SECONDS, UI, browser_page, make_deployment, register
from clip_assets_tests.making.server import dagster_dev

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parent / "images"
SETTLE_MS = 1500
"""Until what was clicked has moved to its place."""

RENAME = """names => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        for (const [here, shown] of Object.entries(names)) {
            walker.currentNode.data = walker.currentNode.data.replaceAll(here, shown);
        }
    }
}"""


def main() -> None:
    """Make all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        names = {sys.prefix: ".venv", str(Path(__file__).parents[1]): ".", folder: "/demo"}
        environment = make_deployment(Path(folder))
        register(environment, "shapes.mp4", "rotated.mp4", "variable_rate.mp4")
        with dagster_dev(Path(environment["DAGSTER_HOME"]), environment) as server, browser_page() as page:
            ui = UI(page, server)
            ui.materialize("All")
            page.get_by_text("100% filled").nth(4).wait_for(timeout=RUN_SECONDS * 1000)
            keep = partial(_keep, page, names)
            _look_at_partitions(ui, keep)
            _look_at_pages(environment, page, keep)
            _look_at_assets(ui, keep)
            register(environment, "broken.mp4")
            ui.materialize("Missing")
            page.get_by_text("(1 failed)").nth(2).wait_for(timeout=RUN_SECONDS * 1000)
            _look_at_failure(ui, keep)
        with dagster_dev(Path(environment["DAGSTER_HOME"]), environment) as server, browser_page("dark") as page:
            ui = UI(page, server)
            ui.open_partition("text_match", "shapes.mp4")
            ui.show_picture("probabilities")
            _keep(page, names, "dark")


def _look_at_pages(environment: Mapping[str, str], page: Page, keep: Callable[[str], None]) -> None:
    with browsed(environment) as address:
        page.goto(f"{address}/search?q=a%20blue%20square")
        page.locator(".card-link").first.click()
        page.locator("video").wait_for()
        keep("browse_search")
        page.goto(f"{address}/video/shapes.mp4?t=2.5")
        keep("browse_video")
        page.goto(address)
        keep("browse_first")


def _look_at_assets(ui: UI, keep: Callable[[str], None]) -> None:
    ui.open_asset("clip_features")
    keep("catalogue")
    ui.open_launchpad("extract_clip_features")
    keep("launchpad")
    ui.open_graph()
    keep("graph")


def _look_at_partitions(ui: UI, keep: Callable[[str], None]) -> None:
    for asset, pictures in {
        "frame_indices": ["contact_sheet"],
        "clip_features": ["self_similarity", "change"],
        "shots": ["typical_frames"],
        "text_match": ["probabilities", "best_frames"],
    }.items():
        ui.open_partition(asset, "shapes.mp4")
        keep(asset)
        for name in pictures:
            ui.show_picture(name)
            keep(f"{asset}_{name}")
            ui.close_dialog()


def _look_at_failure(ui: UI, keep: Callable[[str], None]) -> None:
    ui.open_partition("frame_indices", "broken.mp4")
    ui.page.get_by_role("button", name="View logs").click()
    ui.page.get_by_role("dialog").get_by_text("RUN_FAILURE").wait_for()
    keep("failure")


def _keep(page: Page, names: Mapping[str, str], name: str) -> None:
    """What is on screen, as a PNG with a palette: a third of the size."""
    page.wait_for_timeout(SETTLE_MS)
    page.evaluate(RENAME, names)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    small = shot.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    small.save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
