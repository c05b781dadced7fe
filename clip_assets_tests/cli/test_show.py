"""What the UI, the terminal and a page show of a video, materialized for real."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import numpy as np
import pytest
from rich.console import Console

from clip_assets.cli import main
from clip_assets.cli.show import as_page, as_text
from clip_assets.core.errors import ResultMissingError
from clip_assets.core.pictures.kept import KEPT_FRAMES, SHEET_NAME, kept_frames
from clip_assets.core.records import TextMatch
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.results.sections import sections
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import ASSETS, Platform, make_platform

PICTURES = {
    "frame_indices": {"contact_sheet"},
    "clip_features": {"self_similarity", "change"},
    "shots": {"typical_frames"},
    "text_match": {"probabilities", "best_frames"},
}
MAX_METADATA_BYTES = 300_000


@contextmanager
def platform_of_one_video(folder: Path) -> Iterator[Platform]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(folder, instance)
        made.change(pictures="on")
        corpus.constant_rate(made.videos / "a.mp4")
        made.add("a.mp4")
        yield made


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """With a video of which nothing is stored."""
    with platform_of_one_video(tmp_path) as made:
        yield made


@dataclass(frozen=True)
class Shown:
    """A platform, and the run that materialized its video."""

    platform: Platform
    result: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Materialized once for all tests; not to be changed."""
    with platform_of_one_video(tmp_path_factory.mktemp("shown")) as made:
        yield Shown(made, made.materialize("a.mp4"))


@pytest.fixture
def stored(platform: Platform, shown: Shown) -> Platform:
    """With the results of the video, which may be changed."""
    shutil.copy2(shown.platform.videos / "a.mp4", platform.videos)
    shutil.copytree(shown.platform.settings.output, platform.settings.output)
    return platform


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dg.MetadataValue]:
    (event,) = result.asset_materializations_for_node(asset)
    return dict(event.metadata)


def pictures(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, str]:
    shown = metadata(result, asset)
    return {name: value.md_str for name, value in shown.items() if isinstance(value, dg.MarkdownMetadataValue)}


def table(value: dg.MetadataValue) -> list[dict[str, object]]:
    assert isinstance(value, dg.TableMetadataValue)
    assert {column.name for column in value.schema.columns} == set(value.records[0].data)
    return [dict(record.data) for record in value.records]


def test_every_materialization_shows_its_pictures_with_words_for_them(shown: Shown) -> None:
    for asset in ASSETS:
        of_asset = pictures(shown.result, asset)
        assert set(of_asset) == PICTURES.get(asset, set())
        for markdown in of_asset.values():
            assert re.match(r"!\[[^\n]{40,}\]\(data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+\)\n\n\w", markdown)


def test_every_materialization_stays_small(stored: Platform) -> None:
    stored.change(pred_texts=None)
    result = stored.materialize("a.mp4")
    for asset in ASSETS:
        (event,) = result.asset_materializations_for_node(asset)
        assert len(dg.serialize_value(event)) < MAX_METADATA_BYTES


def test_the_source_is_described_in_a_table(shown: Shown) -> None:
    facts = {row["property"]: row["value"] for row in table(metadata(shown.result, "frame_indices")["source"])}
    assert facts["frames"] == f"{corpus.FRAMES} sampled of {corpus.FRAMES}"
    assert facts["frame spacing"] == "constant: 40 ms"
    assert facts["size"] == "96 x 64 pixels, upright"
    assert facts["codec"].startswith("h264")


def test_numbers_are_plain_so_that_the_ui_plots_them(shown: Shown) -> None:
    for asset in PICTURES:  # whose rows are samples
        told = metadata(shown.result, asset)
        assert told["sampled_frames"].value == corpus.FRAMES
        assert not {"frames", "fps", "seconds", "frames_per_second"} & set(told), "says nothing above a plot"
        for name in ("computing_seconds", "computed_frames_per_second"):
            assert isinstance(told[name], dg.FloatMetadataValue)
            assert told[name].value > 0


def test_a_video_s_page_says_which_frames_were_sampled(platform: Platform) -> None:
    platform.change(pictures="off")
    result = platform.materialize("a.mp4", config={"frame_indices": {"extraction_fps": 2}})
    assert {metadata(result, asset)["sampling"].value for asset in ASSETS} == {"2 per second, the frame on screen"}
    told = [row for part in sections(platform.store, "a.mp4") for shown in part.tables for row in shown.rows]
    assert ("sampling", "2 per second, the frame on screen") in told


def test_group_owners_and_tags_are_those_of_the_settings(platform: Platform) -> None:
    platform.change(group="films", owners=["team:video"], tags={"project": "films"})
    specs = {spec.key.to_user_string(): spec for spec in build_definitions(platform.settings).resolve_all_asset_specs()}
    assert {spec.group_name for spec in specs.values()} == {"films"}
    assert {spec.tags["project"] for spec in specs.values()} == {"films"}
    assert {tuple(specs[asset].owners) for asset in ASSETS} == {("team:video",)}


def test_a_match_is_told_at_a_glance_and_in_tables(shown: Shown) -> None:
    told = metadata(shown.result, "text_match")
    match = shown.platform.store.read("text_match", "a.mp4", TextMatch)
    lines = {row["sentence"]: row for row in table(told["over_time"])}
    for place, text in enumerate(match.texts):
        row = match.probabilities[:, place].argmax()
        assert lines[text]["peak"] == pytest.approx(match.probabilities[row, place], abs=1e-4)
        assert lines[text]["peak_at_seconds"] == pytest.approx(match.timestamps_ms[row] / 1000, abs=1e-3)
        assert len(lines[text]["over_time"]) == min(corpus.FRAMES, 40)
    best = match.texts[match.probabilities[0].argmax()]
    assert re.match(rf"0 to [\d.]+ s: {best} \(\d+%\)", told["at_a_glance"].value)
    end = corpus.FRAMES * 0.04
    assert table(told["stretches"])[-1]["to_seconds"] == pytest.approx(end, abs=1e-3), "where the video ends"


def test_pictures_are_shown_again_without_being_made_again(stored: Platform, shown: Shown) -> None:
    with (
        patch("clip_assets.core.pictures.results.contact_sheet", side_effect=AssertionError("drawn")),
        patch("clip_assets.core.pictures.plots._png", side_effect=AssertionError("drawn")),
    ):
        again = stored.materialize("a.mp4")
    for asset in ASSETS:
        assert pictures(again, asset) == pictures(shown.result, asset)


def test_pictures_can_be_switched_off(platform: Platform) -> None:
    platform.change(pictures="off")
    result = platform.materialize("a.mp4")
    assert result.success
    for asset in ASSETS:
        assert pictures(result, asset) == {}
        assert not [path for path in platform.store.path(asset, "a.mp4").iterdir() if path.suffix in (".jpg", ".png")]


def test_a_picture_that_cannot_be_made_fails_nothing(platform: Platform, capfd: pytest.CaptureFixture[str]) -> None:
    with patch("clip_assets.core.pictures.results.similarity_plot", side_effect=RuntimeError("no such font")):
        result = platform.materialize("a.mp4")
    assert result.success
    assert set(pictures(result, "clip_features")) == {"change"}
    assert "a.mp4: a picture is missing: RuntimeError: no such font" in capfd.readouterr().err


def test_a_picture_that_was_deleted_fails_nothing(stored: Platform) -> None:
    (stored.store.path("clip_features", "a.mp4") / "change.png").unlink()
    result = stored.materialize("a.mp4")
    assert result.success
    assert set(pictures(result, "clip_features")) == {"self_similarity"}


def match_new_sentences(platform: Platform) -> set[str]:
    """The pictures of a match of other sentences than before, made of the features that are stored."""
    result = platform.materialize("a.mp4", assets=["text_match"], config={"text_match": {"pred_texts": ["new"]}})
    assert result.success
    return set(pictures(result, "text_match"))


def test_other_sentences_have_all_their_pictures_when_the_video_is_gone(stored: Platform) -> None:
    (stored.videos / "a.mp4").unlink()
    assert match_new_sentences(stored) == {"probabilities", "best_frames"}


def test_features_that_were_stored_without_pictures_have_no_best_frames_and_nobody_is_warned(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    platform.change(pictures="off")
    platform.materialize("a.mp4")
    platform.change(pictures="on")
    assert match_new_sentences(platform) == {"probabilities"}
    assert "a picture is missing" not in capfd.readouterr().err


def test_kept_frames_that_are_no_picture_any_more_fail_nothing(stored: Platform) -> None:
    (stored.store.path("clip_features", "a.mp4") / SHEET_NAME).write_bytes(b"torn")
    assert match_new_sentences(stored) == {"probabilities"}


def test_kept_frames_are_in_no_event_and_on_no_page(platform: Platform) -> None:
    random = np.random.default_rng(0)

    def noise(_: int, width: int, height: int) -> np.ndarray:
        return random.integers(0, 256, (height, width, 3), dtype=np.uint8)

    corpus.write(platform.videos / "long.mp4", corpus.Recipe(options=corpus.X264, frames=300, draw=noise))
    platform.add("long.mp4")
    result = platform.materialize("long.mp4")
    manifest = platform.store.manifest("clip_features", "long.mp4")
    assert manifest is not None
    sheet = platform.store.picture(manifest, SHEET_NAME)
    assert sheet is not None
    assert len(sheet.data) > MAX_METADATA_BYTES
    assert len(kept_frames(sheet)) == KEPT_FRAMES
    for asset in ASSETS:
        (event,) = result.asset_materializations_for_node(asset)
        assert len(dg.serialize_value(event)) < MAX_METADATA_BYTES
        assert set(pictures(result, asset)) == PICTURES.get(asset, set())
    assert "among 256 of the 300 encoded frames" in pictures(result, "text_match")["best_frames"]
    for part in sections(platform.store, "long.mp4"):
        assert {picture.name for picture in part.pictures} == PICTURES.get(part.title, set())


def test_the_terminal_shows_source_speed_and_sentences(shown: Shown) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    for part in as_text("a.mp4", sections(shown.platform.store, "a.mp4")):
        console.print(part)
    text = console.export_text()
    for words in ("h264", "constant: 40 ms", "decode", "a red circle", "a blue square", "from_seconds"):
        assert words in text


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))


def test_the_page_needs_no_other_file_and_describes_its_pictures(stored: Platform) -> None:
    stored.change(pred_texts=["<script>alert(1)</script>", 'a "quote" & more'])
    stored.materialize("a.mp4")
    text = as_page("a.mp4", sections(stored.store, "a.mp4"))
    page = Page(text)
    assert len(page.images) == 6
    for image in page.images:
        assert (image["src"] or "").startswith("data:image/")
        assert len(image["alt"] or "") > 40
    assert "script" not in page.tags
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)


def test_what_is_not_stored_is_said(platform: Platform) -> None:
    with pytest.raises(ResultMissingError, match=r"Nothing is stored for 'a.mp4'"):
        sections(platform.store, "a.mp4")
    platform.change(pictures="off")
    platform.materialize("a.mp4", assets=["frame_indices"])
    parts = sections(platform.store, "a.mp4")
    assert [(part.title, part.note) for part in parts[1:]] == [(asset, "Nothing is stored.") for asset in ASSETS[1:]]


def test_why_nothing_is_stored_is_said(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIP_ASSETS_OUTPUT", platform.settings.output)
    monkeypatch.setattr("clip_assets.orchestration.instance.open_instance", lambda: nullcontext(platform.instance))
    platform.materialize("a.mp4", assets=["frame_indices"])
    (platform.videos / "a.mp4").write_text("no video")
    platform.materialize("a.mp4", assets=["clip_features"])
    assert main(["show", "a.mp4"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"clip_features\nNothing is stored. The last run failed: .*a.mp4 .* frames were chosen", shown)
    assert "shots\nNothing is stored.\n" in shown
    platform.store.delete("frame_indices", "a.mp4")
    assert main(["show", "a.mp4"]) == 2
    told = capsys.readouterr().err
    assert re.search(r"Nothing is stored for 'a.mp4'.* The last run failed: .*a.mp4 .* frames were chosen", told)
    assert told.endswith("Materialize frame_indices of it again.\n"), "the failure's own way out and no other"


def test_the_command_shows_and_writes_the_page(
    shown: Shown, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIP_ASSETS_OUTPUT", shown.platform.settings.output)
    monkeypatch.chdir(tmp_path)
    assert main(["show", "a.mp4"]) == 0
    assert "frame spacing" in capsys.readouterr().out
    assert main(["show", "a.mp4", "--html", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["show", "unknown.mp4"]) == 2
    assert "Nothing is stored for 'unknown.mp4'" in capsys.readouterr().err


def test_the_catalogue_describes_every_stored_array(shown: Shown) -> None:
    platform = shown.platform
    specs = {spec.key.to_user_string(): spec for spec in build_definitions(platform.settings).resolve_all_asset_specs()}
    for asset in ASSETS:
        spec = specs[asset]
        manifest = platform.store.manifest(asset, "a.mp4")
        assert manifest is not None
        columns = {column.name: column.type for column in spec.metadata["dagster/column_schema"].columns}
        assert set(columns) == set(manifest.arrays)
        for name, stored in manifest.arrays.items():
            kind, dtype = columns[name].split()[0], np.dtype(stored.dtype)
            assert kind == ("str" if dtype.kind == "U" else dtype.name)
            assert columns[name].count(",") == (0 if len(stored.shape) == 0 else 1)
        assert "|" not in spec.description, "the UI shows a Markdown table as its source"
        assert "clip-assets add" in spec.description, "how a partition is made"
        assert (spec.group_name, spec.owners) == ("clip", []), "nobody is named whom nobody named"
        assert not [tag for tag in spec.tags if not tag.startswith("dagster/")]
        assert spec.metadata["dagster/uri"] == f"{platform.settings.output}/{asset}"
