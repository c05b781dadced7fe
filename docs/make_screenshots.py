"""Makes docs/images: starts the UI on the demo's clips and a broken video, clicks through it, keeps what is on screen.

Run it with ``make screenshots`` when what the UI shows has changed, and look at every picture.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from clip_assets_tests.browser import RUN_SECONDS, UI, browser_page, make_deployment, register
from clip_assets_tests.server import dagster_dev

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = Path(__file__).parent / "images"
SETTLE_MS = 1500
"""Until what was clicked has moved to its place."""


def main() -> None:
    """Make all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="clip_assets_") as folder:
        environment = make_deployment(Path(folder))
        register(environment, "shapes.mp4", "rotated.mp4", "variable_rate.mp4")
        with dagster_dev(Path(environment["DAGSTER_HOME"]), environment) as server, browser_page() as page:
            ui = UI(page, server)
            ui.materialize("All")
            page.get_by_text("100% filled").nth(2).wait_for(timeout=RUN_SECONDS * 1000)
            register(environment, "broken.mp4")
            ui.materialize("Missing")
            page.get_by_text("(1 failed)").nth(2).wait_for(timeout=RUN_SECONDS * 1000)
            _look_at_assets(ui, page)
            _look_at_partitions(ui, page)
        with dagster_dev(Path(environment["DAGSTER_HOME"]), environment) as server, browser_page("dark") as page:
            ui = UI(page, server)
            ui.open_partition("text_match", "shapes.mp4")
            ui.show_picture("probabilities")
            _keep(page, "dark")


def _look_at_assets(ui: UI, page: Page) -> None:
    ui.open_graph()
    _keep(page, "graph")
    ui.open_asset("clip_features")
    _keep(page, "catalogue")
    ui.open_launchpad("extract_clip_features")
    _keep(page, "launchpad")


def _look_at_partitions(ui: UI, page: Page) -> None:
    for asset, pictures in {
        "frame_indices": ["contact_sheet"],
        "clip_features": ["self_similarity", "change"],
        "text_match": ["probabilities", "best_frames"],
    }.items():
        ui.open_partition(asset, "shapes.mp4")
        _keep(page, asset)
        for name in pictures:
            ui.show_picture(name)
            _keep(page, f"{asset}_{name}")
            ui.close_dialog()
    ui.open_partition("frame_indices", "broken.mp4")
    page.get_by_role("button", name="View logs").click()
    page.get_by_role("dialog").get_by_text("RUN_FAILURE").wait_for()
    _keep(page, "failure")


def _keep(page: Page, name: str) -> None:
    """What is on screen, as a PNG with a palette: a third of the size."""
    page.wait_for_timeout(SETTLE_MS)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    shot.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
