"""`clip-assets status`: what needs doing first, in words, once; and the command that does it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clip_assets.cli import main
from clip_assets.cli.status import NAMED, Asked, as_json, report, show
from clip_assets.results.staleness import in_words
from clip_assets.results.video_status import AssetState, State, VideoStatus
from clip_assets.settings import Settings
from clip_assets_tests.making.platform import ASSETS

DONE, MISSING, GONE = AssetState("done"), AssetState("missing"), AssetState("gone")
LIBRARY = Path("/data/films")
LONG = "x y " * 20 + "漢字" * 10 + "/" + "z" * 112 + ".mp4"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(videos=LIBRARY, output=str(tmp_path_factory.mktemp("output")), model_name="demo")


def video(key: str, *states: AssetState) -> VideoStatus:
    """Of a video in these states; the last one's is that of the assets that follow too."""
    return VideoStatus(key, dict(zip_longest(ASSETS, states, fillvalue=states[-1])))


def failed(key: str, why: str, *, as_before: bool = True) -> VideoStatus:
    return video(key, AssetState("failed", f"{LIBRARY / key} {why}", failed_as_before=as_before))


def stale(**differing: Any) -> AssetState:
    return AssetState("stale", differing=differing)


def told(
    settings: Settings, videos: Sequence[VideoStatus], *states: State, under: str = "", width: int = 0, new: int = 0
) -> str:
    """The report: on a terminal of that width, or piped."""
    console = Console(file=StringIO(), force_terminal=bool(width), width=width or 80, color_system=None)
    show(report(settings, videos, Asked(states, under), new), console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_needs_attention_is_named_worst_first_with_its_reason_and_what_is_done_is_counted(
    settings: Settings,
) -> None:
    model = stale(model_name=("ViT-B/32", "ViT-L/14"), weights_sha256=("a", "b"))
    videos = [
        video("done [bold].mp4", DONE),
        video("gone.mp4", GONE),
        video("new.mp4", MISSING),
        video("half.mp4", DONE, DONE, MISSING),
        video("old 1.mp4", DONE, model),
        video("old 2.mp4", DONE, model),
        failed("cut.mp4", "ends early: 142 of 355 frames decode. Put a whole copy in its place."),
    ]
    assert told(settings, videos).splitlines() == [
        f"7 videos of {LIBRARY}: 1 failed, 2 stale, 2 missing, 1 gone, 1 done",
        "",
        "1 failed",
        "  cut.mp4",
        "    the file ends early: 142 of 355 frames decode. Put a whole copy in its place.",
        "",
        "2 stale: what is stored isn't what the settings ask for",
        "  made with ViT-B/32, now ViT-L/14: 2 videos",
        "    old 1.mp4",
        "    old 2.mp4",
        "",
        "2 missing: not computed yet",
        "  new.mp4",
        "  half.mp4",
        f"    lacks {', '.join(ASSETS[2:])}",
        "",
        "1 gone: no such file in the library; forget them with clip-assets remove --gone",
        "  gone.mp4",
        "",
        "Bring 4 videos up to date: clip-assets run",
    ]
    lines = list(report(settings, videos, Asked(has_workers=True), 0))
    assert lines[-1].text == "Bring 4 videos up to date: clip-assets run --queue"


@pytest.mark.parametrize(
    ("videos", "under", "last"),
    [
        ([], "", "There is no video yet. Put some into the folder, and compute them: clip-assets run"),
        ([video("a.mp4", DONE)], "", "All is as the settings ask for."),
        ([video("a.mp4", DONE), video("b.mp4", GONE)], "", "Forget what is gone: clip-assets remove --gone"),
        (
            [failed("a.mp4", "is cut off"), video("b.mp4", GONE)],
            "",
            "Nothing has changed since they failed. Try all the same: clip-assets run --failed",
        ),
        (
            [failed("a.mp4", "is cut off", as_before=False)],
            "-my films",
            "Bring 1 video up to date: clip-assets run --under='-my films'",
        ),
    ],
)
def test_it_ends_with_the_one_command_that_mends_it(
    settings: Settings, videos: list[VideoStatus], under: str, last: str
) -> None:
    assert told(settings, videos, under=under).splitlines()[-1] == last


def test_videos_of_the_folder_that_are_not_registered_are_counted_as_what_is_to_be_done(settings: Settings) -> None:
    assert told(settings, [video("a.mp4", DONE)], new=2).splitlines() == [
        f"1 video of {LIBRARY}: 1 done",
        "",
        "2 more videos in the library are not registered.",
        "Bring 2 videos up to date: clip-assets run",
    ]


def test_of_many_the_first_are_named_and_all_where_they_are_asked_for(settings: Settings) -> None:
    cut = [failed(f"{number}.mp4", f"has {number} of 355 frames") for number in range(1000)]
    same = [failed(f"{number}.mkv", "can't be read: Permission denied.") for number in range(1000)]
    short = told(settings, [*cut, *same]).splitlines()
    assert "  the file can't be read: Permission denied: 1,000 videos" in short
    assert len(short) < 3 * NAMED + 10
    assert "  and 1,989 more: clip-assets status --failed" in short
    every = told(settings, [*cut, *same, video("new.mp4", MISSING)], "failed").splitlines()
    assert all(f"  {each.key}" in every or f"    {each.key}" in every for each in (*cut, *same))
    assert "  new.mp4" not in every


def test_names_of_any_length_are_folded_on_a_terminal_and_whole_in_a_pipe(settings: Settings) -> None:
    videos = [failed(LONG, "can't be read: " + "why " * 50), video(f"{LONG}2", MISSING)]
    terminal = told(settings, videos, width=80)
    assert all(len(line.rstrip()) <= 80 for line in terminal.splitlines())
    assert "".join(f"  {LONG}".split()) in "".join(terminal.split())
    assert f"  {LONG}" in told(settings, videos).splitlines()


@pytest.mark.parametrize(
    ("differing", "words"),
    [
        ({"source": ("a", "b"), "frames_sha256": ("a", "b")}, ["the video has changed"]),
        ({"weights_sha256": ("a", "b")}, ["made with other weights"]),
        (
            {"extraction_fps": (2.0, None), "frame_selection": ("on_screen", None)},
            ["sampled at 2 a second, now every frame"],
        ),
        ({"extraction_fps": (None, 0.5), "extraction_total": (8, None)}, ["sampled 8 a video, now at 0.5 a second"]),
        (
            {"precision": ("fp32", "fp16"), "texts": (2, 3), "texts_sha256": ("a", "b")},
            ["computed in fp32, now fp16", "other sentences"],
        ),
        ({"frames_sha256": (None, "a"), "treatment": (None, {})}, ["other frames or times are chosen"]),
        ({"sampling_version": (1, 2), "preprocessing": ("1", "2")}, ["made by another version of clip_assets"]),
        ({"colour": ("red", "blue")}, ["colour red, now blue"]),
    ],
)
def test_a_stale_result_says_in_words_what_is_other(differing: Mapping[str, tuple[Any, Any]], words: list[str]) -> None:
    assert in_words(differing) == words


def test_what_several_assets_are_stale_for_is_said_once() -> None:
    frames = stale(extraction_fps=(2.0, 4.0))
    below = stale(extraction_fps=(2.0, 4.0), decoder=("decord", "pyav"))
    assert video("a.mp4", frames, below).reason == (
        "sampled at 2 a second, now at 4 a second; decoded with decord, now pyav"
    )


def test_a_program_gets_each_video_with_its_assets() -> None:
    half = video("a.mp4", DONE, failed("a.mp4", "is cut off").assets["shots"], MISSING)
    assert as_json(half) == {
        "key": "a.mp4",
        "state": "failed",
        "reason": f"{LIBRARY / 'a.mp4'} is cut off",
        "is_wanted": False,
        "frames": None,
        "model": None,
        "assets": {
            "frame_indices": {"state": "done", "reason": "", "created": None},
            "clip_features": {"state": "failed", "reason": f"{LIBRARY / 'a.mp4'} is cut off", "created": None},
            **{asset: {"state": "missing", "reason": "", "created": None} for asset in ASSETS[2:]},
        },
    }


def test_workers_are_told_in_words_and_for_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("CLIP_ASSETS_VIDEOS", str(tmp_path))
    assert main(["status", "--workers"]) == 0
    assert main(["status", "--workers", "--json"]) == 0
    words, line = capsys.readouterr().out.splitlines()
    assert words == "No run is at work, and none is queued."
    assert json.loads(line) == {"runs": [], "queued": 0, "queued_videos": 0, "seconds_left": None}
