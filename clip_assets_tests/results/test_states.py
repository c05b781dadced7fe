"""The state of each video: done, failed and why, stale and why, missing, gone; and whether a run should take it."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pytest

from clip_assets.core.digests import digest
from clip_assets.core.errors import LibraryUnreadableError, VideoUnreadableError
from clip_assets.core.library.folder import Folder
from clip_assets.core.store.manifest import MANIFEST_NAME, Manifest
from clip_assets.core.user_cache import user_cache_folder
from clip_assets.orchestration.instance import failures
from clip_assets.results.states import video_states
from clip_assets.results.video_status import AssetState, VideoStatus
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit
from clip_assets_tests.making.platform import ASSETS, Platform, make_platform

BELOW = ASSETS[1:]
"""What is made of the frames."""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """Two good videos around a broken one; nothing materialized."""
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(tmp_path, instance)
        for key in ("a.mp4", "c.mp4"):
            corpus.single_frame(made.videos / key)
        (made.videos / "b.mp4").write_text("no video")
        for video in made.videos.iterdir():
            os.utime(video, ns=(0, 10**18))
        made.add("a.mp4", "b.mp4", "c.mp4")
        yield made


def videos(platform: Platform) -> dict[str, VideoStatus]:
    """The states as they are compared; what is remembered must not make them others, whatever happened in between."""

    def found() -> list[VideoStatus]:
        failed = failures(platform.instance, platform.names)
        return list(video_states(platform.settings, platform.registered(), failed))

    compared = found()
    with remembering():
        assert found() == compared
        assert found() == compared
    return {video.key: video for video in compared}


def remembering() -> AbstractContextManager[object]:
    return patch("clip_assets.results.states._MANY", 1)


def reading_nothing() -> AbstractContextManager[object]:
    return patch.object(Manifest, "from_json", side_effect=AssertionError("a manifest was read"))


def states(platform: Platform) -> dict[str, list[str]]:
    return {key: [asset.state for asset in video.assets.values()] for key, video in videos(platform).items()}


def wanted(platform: Platform) -> list[str]:
    return [key for key, video in videos(platform).items() if video.is_wanted]


def test_before_any_run_everything_is_missing(platform: Platform) -> None:
    assert states(platform) == {key: ["missing"] * len(ASSETS) for key in ("a.mp4", "b.mp4", "c.mp4")}


def test_a_failure_is_forgotten_when_a_later_run_succeeds(platform: Platform) -> None:
    platform.materialize("b.mp4")
    assert states(platform)["b.mp4"] == ["failed"] * len(ASSETS)
    corpus.single_frame(platform.videos / "b.mp4")
    platform.materialize("b.mp4")
    assert states(platform)["b.mp4"] == ["done"] * len(ASSETS)


def test_a_run_whose_process_died_has_failed_without_a_reason_of_its_own(platform: Platform) -> None:
    run = platform.instance.add_run(dg.DagsterRun("job", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED))
    planned = dg.DagsterEvent.build_asset_materialization_planned_event(
        "job", "frame_indices", dg._core.events.AssetMaterializationPlannedData(dg.AssetKey("frame_indices"), "a.mp4")
    )
    platform.instance.report_dagster_event(planned, run.run_id)
    assert states(platform)["a.mp4"] == ["missing"] * len(ASSETS)
    platform.instance.report_run_failed(run)
    assert states(platform)["a.mp4"] == ["failed", *["missing"] * len(BELOW)]


def test_a_video_that_is_gone_is_no_failure_and_nothing_to_do_whatever_is_stored(platform: Platform) -> None:
    platform.materialize("a.mp4", "b.mp4", "c.mp4")
    (platform.videos / "a.mp4").unlink()
    (platform.videos / "b.mp4").unlink()
    assert [video.state for video in videos(platform).values()] == ["gone", "gone", "missing"]
    assert states(platform)["a.mp4"] == states(platform)["b.mp4"] == ["gone"] * len(ASSETS)
    assert wanted(platform) == ["c.mp4"]
    assert videos(platform)["a.mp4"].assets["frame_indices"].created


def test_a_link_to_nothing_and_a_library_that_is_not_there_do_not_say_that_videos_are_gone(platform: Platform) -> None:
    (platform.videos / "a.mp4").unlink()
    (platform.videos / "a.mp4").symlink_to(platform.folder / "unmounted.mp4")
    assert states(platform)["a.mp4"] == ["missing"] * len(ASSETS)
    platform.change(videos=platform.folder / "unmounted")
    with pytest.raises(LibraryUnreadableError, match="unmounted can't be listed: No such file"):
        videos(platform)


def test_a_file_of_which_size_and_time_were_noted_is_not_read(platform: Platform) -> None:
    platform.materialize("a.mp4")
    with patch.object(Folder, "fingerprint", side_effect=AssertionError("read")):
        assert states(platform)["a.mp4"] == ["done"] * len(ASSETS)


def test_a_file_with_another_time_is_read_and_known_by_its_content(platform: Platform) -> None:
    platform.materialize("a.mp4")
    os.utime(platform.videos / "a.mp4", ns=(0, 2 * 10**18))
    assert states(platform)["a.mp4"] == ["done"] * len(ASSETS)
    with (platform.videos / "a.mp4").open("ab") as file:
        file.write(b"\0\0\0\x08free")
    os.utime(platform.videos / "a.mp4", ns=(0, 10**18))
    assert states(platform)["a.mp4"] == ["stale"] * len(ASSETS)


def test_a_broken_video_is_to_be_tried_again_only_when_its_file_or_the_settings_have_changed(
    platform: Platform,
) -> None:
    platform.materialize("b.mp4")
    assert states(platform)["b.mp4"] == ["failed"] * len(ASSETS)
    assert wanted(platform) == ["a.mp4", "c.mp4"]
    before = platform.settings
    for other in ({"video_timeout": 7.0}, {"on_damage": "keep"}, {"extraction_fps": 1.0}, {"batch_size": 1}):
        platform.change(**other)
        assert "b.mp4" in wanted(platform), other
        platform.settings = before
    for same in ({"pred_texts": ["other"]}, {"videos_per_run": 3}):
        platform.change(**same)
        assert "b.mp4" not in wanted(platform), f"frames failed, which {same} doesn't concern"
        platform.settings = before
    corpus.single_frame(platform.videos / "b.mp4")
    assert "b.mp4" in wanted(platform)


def test_a_file_that_may_be_read_now_has_changed(platform: Platform) -> None:
    platform.materialize("b.mp4")
    (platform.videos / "b.mp4").chmod(0o640)
    assert "b.mp4" in wanted(platform)


def test_what_failed_with_a_configuration_of_its_own_is_to_be_tried_without(platform: Platform) -> None:
    assert not platform.materialize("a.mp4", config={"frame_indices": {"extraction_total": 1000}}).success
    assert states(platform)["a.mp4"] == ["failed"] * len(ASSETS)
    assert "a.mp4" in wanted(platform)


def test_a_failure_that_is_every_video_s_is_to_be_tried_again(platform: Platform) -> None:
    platform.change(checkpoint=platform.folder / "missing.pth")
    platform.materialize("a.mp4")
    assert states(platform)["a.mp4"] == ["done", *["failed"] * len(BELOW)]
    assert "missing.pth" in videos(platform)["a.mp4"].reason
    assert "a.mp4" in wanted(platform)


def test_what_is_stale_says_why(platform: Platform) -> None:
    platform.materialize("a.mp4")
    random_vit(Path(platform.settings.checkpoint), seed=1)
    platform.change(pred_texts=["other"])
    assert states(platform)["a.mp4"] == ["done", *["stale"] * len(BELOW)]
    assert videos(platform)["a.mp4"].reason == "made with other weights; other sentences"


def test_until_frames_are_chosen_anew_what_was_made_of_the_old_ones_counts_as_made_of_them(platform: Platform) -> None:
    platform.materialize("a.mp4")
    platform.store.delete("frame_indices", "a.mp4")
    assert states(platform)["a.mp4"] == ["missing", *["done"] * len(BELOW)]


def test_what_a_run_would_compute_is_not_done(platform: Platform) -> None:
    """Features that were made of a treated picture, by a version that treated what is shown as it is by now."""
    platform.materialize("a.mp4")
    folder = Path(str(platform.store.path("clip_features", "a.mp4")))
    content = json.loads((folder / MANIFEST_NAME).read_bytes())
    content["parameters"]["treatment"] = {"sample_aspect_ratio": "2:1"}
    content["data_version"] = digest(content["parameters"])
    (folder / MANIFEST_NAME).write_text(json.dumps(content))
    assert videos(platform)["a.mp4"].assets["clip_features"].state == "stale"
    assert videos(platform)["a.mp4"].reason == "other frames or times are chosen"
    platform.materialize("a.mp4", assets=["clip_features"])
    assert states(platform)["a.mp4"] == ["done"] * len(ASSETS)
    assert "treatment" not in platform.store.manifest("clip_features", "a.mp4").parameters


def test_a_broken_video_has_failed_and_the_others_of_its_batch_have_not(platform: Platform) -> None:
    platform.materialize("a.mp4", "b.mp4", "c.mp4")
    assert states(platform) == {
        "a.mp4": ["done", *["missing"] * len(BELOW)],
        "b.mp4": ["failed"] * len(ASSETS),
        "c.mp4": ["done", *["missing"] * len(BELOW)],
    }


def test_a_failure_that_an_earlier_version_recorded_is_read_and_tried_again(platform: Platform) -> None:
    with patch("clip_assets.orchestration.failures._ATTEMPT", "of_an_earlier_version"):
        platform.materialize("b.mp4")
    assert videos(platform)["b.mp4"].reason.startswith(str(platform.videos / "b.mp4"))
    assert "b.mp4" in wanted(platform)


DONE, MISSING, STALE = AssetState("done"), AssetState("missing"), AssetState("stale", "the video has changed")
FAILED, AGAIN = AssetState("failed", "it is cut off", failed_as_before=True), AssetState("failed", "no space left")


@pytest.mark.parametrize(
    ("assets", "state", "is_wanted"),
    [
        ([DONE, DONE], "done", False),
        ([DONE, MISSING], "missing", True),
        ([MISSING, STALE], "stale", True),
        ([DONE, FAILED, MISSING], "failed", False),
        ([DONE, AGAIN, MISSING], "failed", True),
        ([STALE, FAILED], "failed", True),
        ([FAILED, STALE], "failed", False),
    ],
)
def test_a_video_is_in_the_worst_state_and_wanted_where_something_has_changed_above_its_failure(
    assets: list[AssetState], state: str, is_wanted: bool
) -> None:
    video = VideoStatus("a.mp4", {str(place): asset for place, asset in enumerate(assets)})
    assert (video.state, video.is_wanted) == (state, is_wanted)


def test_nothing_is_compared_again_that_is_as_it_was(platform: Platform) -> None:
    for key in ("a.mp4", "c.mp4"):
        platform.materialize(key)
    assert [states(platform)[key][0] for key in ("a.mp4", "b.mp4", "c.mp4")] == ["done", "missing", "done"]
    with remembering(), reading_nothing():
        assert videos(platform)["a.mp4"].frames == 1
    platform.change(extraction_fps=1.0)
    assert videos(platform)["a.mp4"].reason == "sampled every frame, now at 1 a second"
    with remembering(), reading_nothing():
        assert videos(platform)["c.mp4"].reason == "sampled every frame, now at 1 a second"
    platform.store.delete("shots", "a.mp4")
    assert states(platform)["a.mp4"][2] == "missing"


def test_several_processes_find_what_one_does(platform: Platform) -> None:
    platform.materialize("a.mp4")
    (platform.videos / "c.mp4").unlink()
    expected = list(videos(platform).values())

    def found() -> list[VideoStatus]:
        return list(video_states(platform.settings, platform.registered(), {}, processes=2))

    with (
        patch("clip_assets.results.comparers._IN_THIS_PROCESS", 0),
        patch("clip_assets.results.states._TOGETHER", 1),
    ):
        (user_cache_folder() / "states").rename(platform.folder / "forgotten")
        with (
            remembering(),
            patch("clip_assets.results.comparers._Comparing.compare", side_effect=AssertionError("compared here")),
        ):
            assert found() == expected
        with patch("clip_assets.results.comparers._prepare", os._exit):  # which takes no settings: all processes end
            assert found() == expected


def test_what_cannot_be_known_is_not_remembered(platform: Platform) -> None:
    platform.materialize("a.mp4")
    os.utime(platform.videos / "a.mp4", ns=(0, 2 * 10**18))
    with patch.object(Folder, "fingerprint", side_effect=VideoUnreadableError("the disk fails")):
        assert videos(platform)["a.mp4"].reason == "the disk fails"
    assert states(platform)["a.mp4"] == ["done"] * len(ASSETS)
    checkpoint = Path(platform.settings.checkpoint)
    checkpoint.rename(platform.folder / "elsewhere")
    assert states(platform)["a.mp4"] == ["done", *["stale"] * len(BELOW)]
    (platform.folder / "elsewhere").rename(checkpoint)
    assert states(platform)["a.mp4"] == ["done"] * len(ASSETS)


def test_without_what_is_remembered_all_is_compared(platform: Platform) -> None:
    platform.materialize("a.mp4")
    before = videos(platform)
    (file,) = (user_cache_folder() / "states").glob(f"{digest({'output': str(platform.store.root)})[:32]}.sqlite")
    file.write_bytes(b"no database" * 1000)
    assert videos(platform) == before
    file.unlink()
    assert videos(platform) == before
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE videos SET told = 'garbled'")
    assert videos(platform) == before
    file.unlink()
    file.mkdir()
    assert videos(platform) == before


def test_nobody_asks_for_failures_where_all_is_done(platform: Platform) -> None:
    (platform.videos / "b.mp4").unlink()
    for key in ("a.mp4", "c.mp4"):
        platform.materialize(key)
    with patch("clip_assets.orchestration.instance._find_failures", side_effect=AssertionError("asked")):
        assert [video.state for video in videos(platform).values()] == ["done", "gone", "done"]
