"""Dagster's UI in a real browser: materialize by clicking, look at every picture, read why a video failed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clip_assets_tests.making import browser
from clip_assets_tests.making.server import dagster_dev, wait_until

pytest.importorskip("playwright", reason="playwright isn't installed: pip install '.[browser]'")
if browser.find_browser() is None:
    pytest.skip("no Chromium is installed: apt-get install chromium", allow_module_level=True)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PICTURES = {
    "frame_indices": ["contact_sheet"],
    "clip_features": ["self_similarity", "change"],
    "shots": ["typical_frames"],
    "text_match": ["probabilities", "best_frames"],
}
CLIPS = ["shapes.mp4", "rotated.mp4", "variable_rate.mp4"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return browser.make_deployment(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def ui(deployment: dict[str, str]) -> Iterator[browser.UI]:
    """The UI after the demo's partitions were materialized from it by clicks."""
    browser.register(deployment, *CLIPS)
    with dagster_dev(Path(deployment["DAGSTER_HOME"]), deployment) as server, browser.browser_page() as page:
        ui = browser.UI(page, server)
        ui.materialize("All")
        filled = page.get_by_text("100% filled")
        filled.nth(4).wait_for(timeout=browser.RUN_SECONDS * 1000)
        yield ui


@pytest.mark.parametrize("key", CLIPS)
@pytest.mark.parametrize("asset", PICTURES)
def test_every_picture_of_every_partition_is_there_and_shows_something(ui: browser.UI, asset: str, key: str) -> None:
    ui.open_partition(asset, key)
    for name in PICTURES[asset]:
        image = ui.show_picture(name)
        assert browser.natural_width(image) > 300
        assert browser.grey_levels(image).std() > browser.BLANK_DEVIATION
        assert len(image.get_attribute("alt") or "") > 40
        ui.close_dialog()


def test_the_partition_says_at_a_glance_when_the_red_circle_is_on_screen(ui: browser.UI) -> None:
    ui.open_partition("text_match", "shapes.mp4")
    ui.page.get_by_text("0 to 2 s: a red circle").wait_for()


def test_the_partition_says_where_the_cuts_are(ui: browser.UI) -> None:
    ui.open_partition("clip_features", "shapes.mp4")
    ui.page.get_by_text("2.00 s, 4.00 s").wait_for()


def test_the_catalogue_shows_the_stored_arrays_with_their_types(ui: browser.UI) -> None:
    ui.open_asset("clip_features")
    ui.page.get_by_text("float32 (T, D)").wait_for()
    for words in ("PyTorch", "Storage", "clip-assets add"):
        assert ui.page.get_by_text(words).count()
    ui.page.get_by_text("Compute details").click()
    ui.page.get_by_text("Code version").first.wait_for()


def test_a_broken_video_says_what_is_wrong_and_what_to_do_above_any_traceback(
    ui: browser.UI, deployment: dict[str, str]
) -> None:
    browser.register(deployment, "broken.mp4")
    ui.materialize("Missing")
    ui.page.get_by_text("(1 failed)").nth(2).wait_for(timeout=browser.RUN_SECONDS * 1000)
    ui.open_partition("frame_indices", "broken.mp4")
    ui.page.get_by_role("button", name="View logs").click()
    dialog = ui.page.get_by_role("dialog")
    dialog.get_by_text("RUN_FAILURE").wait_for()
    told = dialog.inner_text()
    reason = told.index("broken.mp4: ")
    assert "it is a text, no video" in told[reason:].splitlines()[0]
    assert "Put a copy that can be read in its place" in told
    assert "Stack Trace" not in told[:reason]
    ui.close_dialog()


@pytest.mark.timeout(1200)
def test_a_batch_with_one_broken_video_ends_with_the_others_done_and_one_red(
    ui: browser.UI, deployment: dict[str, str]
) -> None:
    videos = Path(deployment["CLIP_ASSETS_VIDEOS"])
    good, broken = [f"batch{number:02}.mp4" for number in range(15)], "batch_broken.mp4"
    for name in good:
        shutil.copy(videos / CLIPS[0], videos / name)
    (videos / broken).write_text("This is no video.\n")
    browser.register(deployment, *good[:7], broken, *good[7:])
    counts = {asset: ui.server.partition_counts(asset) for asset in PICTURES}
    expected = {asset: (done + len(good), failed + 1) for asset, (done, failed) in counts.items()}
    ui.materialize("Missing")
    wait_until(
        lambda: {asset: ui.server.partition_counts(asset) for asset in PICTURES} == expected,
        2 * browser.RUN_SECONDS,
        "15 done and one red",
    )
    ui.open_partition("text_match", good[0])
    ui.page.get_by_text("0 to 2 s: a red circle").wait_for()
    ui.open_partition("frame_indices", broken)
    ui.page.get_by_role("button", name="View logs").click()
    dialog = ui.page.get_by_role("dialog")
    dialog.get_by_text("RUN_FAILURE").wait_for()
    assert f"{broken}: " in dialog.inner_text()
    assert "it is a text, no video" in dialog.inner_text()
    ui.close_dialog()
