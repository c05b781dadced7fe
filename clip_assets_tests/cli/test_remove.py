"""`clip-assets remove`: which videos are meant, what becomes of them, and that nothing else is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from clip_assets.cli import main
from clip_assets.core.records import FrameIndices
from clip_assets.core.store.store import TRASH, Store
from clip_assets.orchestration.instance import open_instance, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import partition_tags

KEYS = ["-x.mp4", "a b.mp4", "a b/1.mp4", "a b/2.mp4", "other.mp4"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose videos are registered, with something stored of the first."""
    for name in [name for name in os.environ if name.startswith(("CLIP_ASSETS_", "DAGSTER_HOME"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for key in KEYS:
        (tmp_path / "films" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "films" / key).touch()
    assert main(["init", "--videos", "films", "--model", "demo"]) == 0
    assert main(["add", "films"]) == 0
    times = np.arange(3.0)
    record = FrameIndices(np.arange(3), times, times, 25.0, 3, 4, 4, 120.0)
    Store(tmp_path / "output").write("frame_indices", KEYS[0], record, data_version="", parameters={}, summary={})
    return tmp_path


def left() -> list[str]:
    with open_instance() as instance:
        return list(registered(instance, LibraryNames()))


def test_removed_videos_are_registered_no_more_and_their_results_stay(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "films" / "-x.mp4").unlink()
    capsys.readouterr()
    assert main(["remove", "a b", "--", "-x.mp4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "removed -x.mp4",
        "removed a b/1.mp4",
        "removed a b/2.mp4",
        f"Results are kept in {project / 'output'}.",
        "2 of them are still in the library: a watched folder, clip-assets add and clip-assets run take them again. "
        "Move the files away to be rid of them.",
    ]
    assert left() == ["a b.mp4", "other.mp4"]
    assert Store(project / "output").manifest("frame_indices", "-x.mp4") is not None
    assert main(["remove", "othr.mp4"]) == 2
    assert "No registered video is, or lies below, 'othr.mp4'. Did you mean 'other.mp4'?" in capsys.readouterr().err
    assert main(["remove"]) == 2
    assert "Name videos or folders to remove, or --gone" in capsys.readouterr().err
    assert left() == ["a b.mp4", "other.mp4"]


def test_results_go_to_the_trash_where_that_is_wanted(project: Path) -> None:
    assert main(["remove", "--results", "trash", "films/-x.mp4"]) == 0
    assert left() == KEYS[1:]
    assert Store(project / "output").manifest("frame_indices", "-x.mp4") is None
    assert Store(project / "output" / TRASH).manifest("frame_indices", "-x.mp4") is not None


def test_a_video_that_a_run_holds_stays(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_instance() as instance:
        tags = partition_tags(["other.mp4"])
        instance.add_run(dg.DagsterRun("job", tags=tags, status=dg.DagsterRunStatus.STARTED))
    assert main(["remove", "other.mp4", "a b.mp4"]) == 1
    assert "other.mp4 stays: a run holds it" in capsys.readouterr().err
    assert left() == [key for key in KEYS if key != "a b.mp4"]


def test_whoever_goes_to_another_library_has_the_old_videos_as_gone_and_forgets_them_at_once(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = project / "other films"
    other.mkdir()
    (project / ".env").write_text(f"CLIP_ASSETS_VIDEOS='{other}'\nCLIP_ASSETS_MODEL_NAME=demo\n")
    assert main(["remove", "--gone"]) == 2
    assert "is a disk unmounted? Nothing is removed." in capsys.readouterr().err
    (other / "new.mp4").touch()
    assert main(["add", "other films"]) == 0
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    states = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["key"]: each["state"] for each in states} == {**dict.fromkeys(KEYS, "gone"), "new.mp4": "missing"}
    assert main(["status", "--gone", "--under", "a b"]) == 0
    told = capsys.readouterr().out
    assert "2 videos of a b in " in told
    assert "  a b/1.mp4\n  a b/2.mp4\n" in told
    assert "other.mp4" not in told
    assert main(["remove", "--gone", "a b"]) == 0
    assert left() == ["-x.mp4", "a b.mp4", "other.mp4", "new.mp4"]
    assert main(["remove", "--gone"]) == 0
    assert left() == ["new.mp4"]
