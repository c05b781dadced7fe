"""Tests of `clip-assets run`: what it takes, that it computes it once, and what becomes of failures and Ctrl-C."""

from __future__ import annotations

import errno
import json
import os
import platform as host
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import dagster as dg
import pytest

from clip_assets.cli import main
from clip_assets.core.errors import ClipAssetsError, ResultUnwritableError
from clip_assets.core.library.named import Named
from clip_assets.core.records import ClipFeatures, Shots
from clip_assets.core.store import Store
from clip_assets.orchestration.in_process import Execution, Listener, RunFailedError
from clip_assets.orchestration.instance import failures
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import KEYS_TAG, partition_tags
from clip_assets.orchestration.run_liveness import signs_folder
from clip_assets.orchestration.run_plan import Asked, Plan, make_plan
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit
from clip_assets_tests.making.platform import ASSETS, Platform, platform_of_single_frames

KEYS = [f"{number}.mp4" for number in range(6)]


class Told(Listener):
    """Remembers what it hears; may ask for the end after so many videos whose frames were encoded."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.became: dict[str, str] = {}
        self.waited_for: list[Sequence[str]] = []
        self.encoded_frames = 0
        self._stop_after = stop_after

    def encoded(self, frames: int) -> None:
        self.encoded_frames += frames

    def done(self, key: str, frames: int | None) -> None:
        assert key not in self.became
        assert frames == 1
        self.became[key] = "done"

    def failed(self, key: str, reason: str) -> None:
        assert key not in self.became
        self.became[key] = reason

    def left(self, key: str) -> None:
        self.became[key] = "left"

    def waits(self, keys: Sequence[str]) -> None:
        self.waited_for.append(keys)

    def is_enough(self) -> bool:
        return self._stop_after is not None and self.encoded_frames >= self._stop_after


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Six registered videos of a frame each; runs of two, and no waiting for files to settle."""
    with platform_of_single_frames(tmp_path, KEYS) as made:
        made.change(videos_per_run=2, settle_seconds=0)
        yield made


def _plan(platform: Platform, *named: str, **asked: object) -> Plan:
    return make_plan(platform.instance, platform.settings, Asked([Named.parse(word) for word in named], **asked))


def _execute(platform: Platform, plan: Plan, told: Told | None = None) -> Told:
    told = told or Told()
    Execution(platform.instance, platform.settings, told, told.is_enough).execute(plan.tasks)
    return told


def _materialized(platform: Platform, asset: str) -> list[str]:
    """The partition key of each materialization, in order."""
    records = platform.instance.fetch_materializations(dg.AssetKey(asset), limit=1000, ascending=True).records
    return [str(record.partition_key) for record in records]


def test_scattered_videos_share_runs_whose_events_are_true(platform: Platform) -> None:
    platform.materialize("1.mp4")
    platform.materialize("4.mp4")
    before = platform.instance.get_runs_count()
    told = _execute(platform, _plan(platform))
    assert told.became == dict.fromkeys(["0.mp4", "2.mp4", "3.mp4", "5.mp4"], "done")
    runs = platform.instance.get_runs()[: platform.instance.get_runs_count() - before]
    assert sorted(json.loads(run.tags[KEYS_TAG]) for run in runs) == [["0.mp4", "2.mp4"], ["3.mp4", "5.mp4"]]
    for asset in ASSETS:
        assert sorted(_materialized(platform, asset)) == KEYS
    assert _plan(platform).tasks == []


def test_a_broken_video_holds_no_other_back_and_is_red_alone(platform: Platform) -> None:
    (platform.videos / "0.mp4").write_bytes(b"no video")
    told = _execute(platform, _plan(platform))
    assert told.became.pop("0.mp4").startswith(f"{platform.videos / '0.mp4'}")
    assert told.became == dict.fromkeys(KEYS[1:], "done")
    failed = failures(platform.instance, LibraryNames())
    assert {asset: set(failed[asset]) for asset in ASSETS} == {asset: {"0.mp4"} for asset in ASSETS}


def test_what_failed_is_tried_again_when_it_has_changed_or_is_asked_for(platform: Platform) -> None:
    (platform.videos / "0.mp4").write_bytes(b"no video")
    _execute(platform, _plan(platform, "0.mp4", "1.mp4"))
    again = _plan(platform)
    assert [task.key for task in again.tasks] == KEYS[2:]
    assert [status.key for status in again.as_before] == ["0.mp4"]
    assert [task.key for task in _plan(platform, "0.mp4").tasks] == ["0.mp4"]
    assert [task.key for task in _plan(platform, states=["failed"]).tasks] == ["0.mp4"]
    corpus.single_frame(platform.videos / "0.mp4")
    assert _execute(platform, _plan(platform, states=["failed"])).became == {"0.mp4": "done"}


def test_a_video_that_was_replaced_is_computed_from_what_it_is_now(platform: Platform) -> None:
    _execute(platform, _plan(platform, "0.mp4"))
    corpus.write(platform.videos / "0.mp4", corpus.Recipe(frames=2))
    (task,) = _plan(platform, states=["stale"]).tasks
    assert (task.key, task.assets) == ("0.mp4", tuple(ASSETS))
    plan = _plan(platform, states=["stale"])
    Execution(platform.instance, platform.settings, Listener()).execute(plan.tasks)
    assert _materialized(platform, "video").count("0.mp4") == 2  # Dagster heard of the new content
    assert _plan(platform, states=["stale"]).tasks == []


def test_what_is_stored_of_videos_that_nobody_registered_is_registered(platform: Platform) -> None:
    _execute(platform, _plan(platform))
    for key in KEYS[2:]:  # as in another instance, or after `remove`
        platform.instance.delete_dynamic_partition(platform.names("videos"), key)
    plan = _plan(platform)
    assert (plan.tasks, plan.new, plan.done) == ([], KEYS[2:], len(KEYS))


def test_only_what_is_lacking_is_computed(platform: Platform) -> None:
    _execute(platform, _plan(platform))
    platform.change(pred_texts=["a red circle", "a green star"])
    told = _execute(platform, _plan(platform))
    assert told.became == dict.fromkeys(KEYS, "done")
    assert told.encoded_frames == 0
    assert sorted(_materialized(platform, "clip_features")) == KEYS
    assert sorted(_materialized(platform, "text_match")) == sorted(KEYS * 2)


def test_what_another_run_holds_is_left_to_it_unless_its_process_is_gone(platform: Platform) -> None:
    held = platform.instance.create_run_for_job(_job(platform), tags=partition_tags(["0.mp4"]))
    told = _execute(platform, _plan(platform, "0.mp4", "1.mp4"))
    assert told.became == {"0.mp4": "left", "1.mp4": "done"}
    folder = signs_folder(platform.instance, held.run_id)
    folder.mkdir(parents=True)
    (folder / f"{host.node()}-1-x.alive").touch()  # which nobody locks
    assert _execute(platform, _plan(platform, "0.mp4")).became == {"0.mp4": "done"}


def _job(platform: Platform) -> dg.JobDefinition:
    from clip_assets.orchestration.definitions import build_definitions

    return build_definitions(platform.settings).resolve_job_def("extract_clip_features")


def test_a_stop_ends_after_the_present_video_and_what_is_stored_is_recorded(platform: Platform) -> None:
    platform.change(videos_per_run=6, batch_size=1)
    told = _execute(platform, _plan(platform), Told(stop_after=1))
    stored = [key for key in KEYS if platform.store.manifest("clip_features", key)]
    assert 0 < len(stored) < len(KEYS)
    assert _materialized(platform, "clip_features") == stored
    assert [run.status for run in platform.instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
    assert told.became == {}
    assert _execute(platform, _plan(platform)).became == dict.fromkeys(KEYS, "done")
    assert sorted(_materialized(platform, "clip_features")) == KEYS


def test_what_failed_before_a_stop_is_known_and_what_was_not_begun_is_missing(platform: Platform) -> None:
    platform.change(videos_per_run=6)
    (platform.videos / "0.mp4").write_bytes(b"no video")
    told = Told()
    Execution(platform.instance, platform.settings, told, lambda: bool(told.became)).execute(_plan(platform).tasks)
    assert [run.status for run in platform.instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
    again = _plan(platform)
    assert [(status.key, status.state, status.reason) for status in again.as_before] == [
        ("0.mp4", "failed", told.became["0.mp4"])
    ]
    assert {task.key: task.state for task in again.tasks} == dict.fromkeys(KEYS[1:], "missing")


def test_a_stop_during_one_step_keeps_the_others_from_computing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sentences don't need shots, so Dagster goes on to them when shots failed."""
    stop: list[str] = []

    def find_shots(*_: object) -> object:
        stop.append("asked")
        raise ClipAssetsError("a fault of this video")

    monkeypatch.setattr("clip_assets.orchestration.assets.shots.find_shots", find_shots)
    Execution(platform.instance, platform.settings, Told(), lambda: bool(stop)).execute(_plan(platform, "0.mp4").tasks)
    assert stop == ["asked"]
    assert [run.status for run in platform.instance.get_runs()] == [dg.DagsterRunStatus.CANCELED]
    assert platform.store.manifest("text_match", "0.mp4") is None
    (failed,) = _plan(platform).as_before
    assert "a fault of this video" in failed.reason


def test_a_file_that_is_written_to_comes_last_and_is_waited_for(platform: Platform) -> None:
    platform.change(settle_seconds=3)
    for key in KEYS[:2]:
        os.utime(platform.videos / key, ns=(0, 0))  # as a copy that keeps times does; when that was set counts
    told = _execute(platform, _plan(platform, "0.mp4", "1.mp4"))
    assert told.waited_for[0] == ["0.mp4", "1.mp4"]
    assert told.became == {"0.mp4": "done", "1.mp4": "done"}


def test_an_error_that_nobody_foresaw_fails_its_video_alone(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clip_assets.orchestration.assets import shots

    find = shots.find_shots

    def find_shots(features: ClipFeatures, duration_ms: float, cosine: float) -> Shots:
        if features.fps == 1:
            raise RuntimeError("an unforeseen one")
        return find(features, duration_ms, cosine)

    corpus.write(platform.videos / "0.mp4", corpus.Recipe(frames=1, rate=Fraction(1)))
    monkeypatch.setattr(shots, "find_shots", find_shots)
    told = _execute(platform, _plan(platform, *KEYS[:3]))
    assert "an unforeseen one" in told.became.pop("0.mp4")
    assert told.became == {"1.mp4": "done", "2.mp4": "done"}


def test_a_full_disk_ends_all_and_what_is_stored_is_recorded(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.change(videos_per_run=6)
    write, written = Store.write, []

    def fill_up(store: Store, asset: str, key: str, *record: object, **about: object) -> object:
        if len(written) == 2:
            raise ResultUnwritableError("no room") from OSError(errno.ENOSPC, "No space left on device")
        written.append(key)
        return write(store, asset, key, *record, **about)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "write", fill_up)
    with pytest.raises(RunFailedError, match="no room"):
        _execute(platform, _plan(platform))
    assert platform.instance.get_runs_count() == 1
    assert _materialized(platform, "frame_indices") == written


def test_what_is_named_is_found_as_key_file_or_folder(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    (platform.videos / "trip").mkdir()
    corpus.single_frame(platform.videos / "trip" / "-odd name.mp4")
    monkeypatch.chdir(platform.videos)
    for named in ("trip", str(platform.videos / "trip"), "./trip/-odd name.mp4"):
        plan = _plan(platform, named)
        assert [task.key for task in plan.tasks] == list(plan.new) == ["trip/-odd name.mp4"]
    assert [task.key for task in _plan(platform, under=Named.parse("trip")).tasks] == ["trip/-odd name.mp4"]
    assert len(_plan(platform).tasks) == 7
    (platform.videos / "3.mp4").unlink()
    gone = _plan(platform, "3.mp4")
    assert (gone.tasks, gone.gone) == ([], ["3.mp4"])
    with pytest.raises(ClipAssetsError, match="trap: no such video or folder"):
        _plan(platform, "trap")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a project of two videos, one broken, in which commands are called."""
    videos = tmp_path / "films"
    videos.mkdir()
    corpus.single_frame(videos / "good.mp4")
    (videos / "broken.mp4").write_bytes(b"no video")
    made = tmp_path / "project"
    for name in [name for name in os.environ if name.startswith(("CLIP_ASSETS_", "DAGSTER_HOME"))]:
        monkeypatch.delenv(name)
    assert main(["init", str(made), "--videos", str(videos)]) == 0
    with (made / ".env").open("a") as env:
        checkpoint = random_vit(tmp_path / "vit.pth")
        env.write(f"CLIP_ASSETS_MODEL_NAME=custom\nCLIP_ASSETS_CHECKPOINT={checkpoint}\nCLIP_ASSETS_SETTLE_SECONDS=0\n")
    monkeypatch.chdir(made)
    return made


@pytest.mark.cluster
def test_two_at_once_compute_each_video_once(project: Path) -> None:
    """Each in a process of its own, as Dagster's logging wants it."""
    for key in KEYS:
        corpus.single_frame(project.parent / "films" / key)
    with (project / ".env").open("a") as env:
        env.write("CLIP_ASSETS_VIDEOS_PER_RUN=2\nCLIP_ASSETS_PICTURES=off\n")
    command = [sys.executable, "-m", "clip_assets.cli", "run", "--json", *KEYS]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [json.loads(line) for one in both for line in one.communicate(timeout=110)[0].splitlines()]
    assert [one.returncode for one in both] == [0, 0]
    assert {line["key"] for line in told if line["state"] == "done"} == set(KEYS)
    with dg.DagsterInstance.from_config(str(project / ".dagster_home")) as instance:
        for asset in ASSETS:
            records = instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records
            assert sorted(str(record.partition_key) for record in records) == KEYS


def test_the_command_says_what_becomes_of_each_video(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["run", "--dry-run", "--json"]) == 0
    planned = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["key"], line["state"]) for line in planned] == [("broken.mp4", "missing"), ("good.mp4", "missing")]
    assert main(["run"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("2 videos to do: 2 missing.\n")
    assert "done: good.mp4: 1 frames" in out
    assert "failed: broken.mp4: " in out
    assert main(["run"]) == 0
    assert "1 failed, and nothing has changed since" in capsys.readouterr().out
    assert main(["run", "--failed", "--json"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["state"] == "failed"
    assert main(["run", "nowhere.mp4"]) == 2
