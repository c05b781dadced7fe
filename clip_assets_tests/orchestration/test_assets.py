"""The assets, materialized for real on an ephemeral instance: what is stored, recognised, refused and reported."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import av
import dagster as dg
import numpy as np
import pytest

from clip_assets.core.library import folder
from clip_assets.core.matching import match_texts
from clip_assets.core.model.clip_model import ClipModel
from clip_assets.core.records import ClipFeatures, FrameIndices, SourceStat, TextMatch
from clip_assets.core.video import probing as video_probe
from clip_assets.models import load_model
from clip_assets.orchestration.definitions import build_definitions
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_resnet
from clip_assets_tests.making.platform import ASSETS, Platform, make_platform


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(tmp_path, instance)
        corpus.constant_rate(made.videos / "a.mp4")
        yield made


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    return event.step_failure_data.user_failure_data.description


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_one_video_becomes_frame_indices_features_and_probabilities(platform: Platform) -> None:
    platform.add("a.mp4")
    assert platform.materialize("a.mp4").success
    frames = platform.store.read("frame_indices", "a.mp4", FrameIndices)
    features = platform.store.read("clip_features", "a.mp4", ClipFeatures)
    match = platform.store.read("text_match", "a.mp4", TextMatch)
    count = corpus.FRAMES
    np.testing.assert_array_equal(frames.indices, np.arange(count))
    np.testing.assert_allclose(frames.timestamps_ms, np.arange(count) * 40.0)
    assert features.clip.shape == (count, 48)
    assert (features.fps, features.model_name) == (25.0, "custom")
    model = load_model("custom", checkpoint=platform.settings.checkpoint, weights_folder=platform.folder)
    texts = ("a red circle", "a blue square")
    expected = match_texts(features.clip, model.encode_texts(texts), model.score, texts, features.timestamps_ms)
    assert match.texts == texts
    np.testing.assert_allclose(match.probabilities, expected.probabilities, atol=1e-12)
    np.testing.assert_allclose(match.probabilities.sum(axis=1), 1.0, atol=1e-12)


def test_the_files_lie_where_the_documentation_says(platform: Platform) -> None:
    (platform.videos / "sports").mkdir()
    shutil.copy(platform.videos / "a.mp4", platform.videos / "sports" / "b.mp4")
    platform.add("sports/b.mp4")
    assert platform.materialize("sports/b.mp4").success
    folder = platform.folder / "output" / "clip_features" / "sports" / "b.mp4"
    assert np.load(folder / "clip.npy").shape == (corpus.FRAMES, 48)
    assert np.load(folder / "fps.npy").shape == ()
    assert {path.name for path in folder.iterdir()} >= {
        "timestamps_ms.npy",
        "source_timestamps_ms.npy",
        "manifest.json",
    }


def test_results_note_the_file_as_it_was_read(platform: Platform) -> None:
    os.utime(platform.videos / "a.mp4", ns=(0, 10**18))
    platform.add("a.mp4")
    assert platform.materialize("a.mp4", assets=["frame_indices", "clip_features"]).success
    stat = (platform.videos / "a.mp4").stat()
    for asset in ("frame_indices", "clip_features"):
        manifest = platform.store.manifest(asset, "a.mp4")
        assert manifest is not None
        assert manifest.source_stat == SourceStat(stat.st_size, stat.st_mtime_ns)


def test_a_run_digests_and_demuxes_a_video_once_and_every_reading_ends_at_the_timeout(platform: Platform) -> None:
    platform.change(pictures="on", video_timeout=7.0, extraction_fps=7.0, frame_selection="ffmpeg")
    with patch("clip_assets_tests.making.corpus._stored", lambda number, recipe: corpus.draw(0, *recipe.size)):
        corpus.constant_rate(platform.videos / "a.mp4")  # of one picture, so that both checks look at the video too
    platform.add("a.mp4")
    with (
        patch.object(folder, "fingerprint", wraps=folder.fingerprint) as digested,
        patch.object(video_probe, "demux", wraps=video_probe.demux) as demuxed,
        patch("av.open", wraps=av.open) as opened,
    ):
        assert platform.materialize("a.mp4").success
    assert (digested.call_count, demuxed.call_count) == (1, 1)
    readings_of_it = [call.kwargs for call in opened.call_args_list if "w" not in call.args]
    assert len(readings_of_it) >= 6, "the probe, the contact sheet, the features, three pictures of the check"
    assert {options["timeout"] for options in readings_of_it} == {7.0}


def test_pickle_is_a_setting(platform: Platform) -> None:
    platform.change(format="pickle")
    platform.add("a.mp4")
    assert platform.materialize("a.mp4").success
    assert (platform.folder / "output" / "text_match" / "a.mp4" / "text_match.pkl").is_file()
    assert platform.store.read("text_match", "a.mp4", TextMatch).texts == ("a red circle", "a blue square")


def test_metadata_tells_frames_model_device_and_speed(platform: Platform) -> None:
    platform.add("a.mp4")
    result = platform.materialize("a.mp4")
    shown = metadata(result, "clip_features")
    assert (shown["sampled_frames"], shown["feature_width"]) == (corpus.FRAMES, 48)
    assert shown["source_frames_per_second"] == 25.0
    assert (shown["model"], shown["device"], shown["decoder"]) == ("custom", "cpu", "pyav")
    assert shown["path"] == str(platform.store.path("clip_features", "a.mp4"))
    for name in ("decode_seconds", "preprocess_seconds", "encode_seconds", "computing_seconds"):
        assert shown[name] > 0
    records = metadata(result, "text_match")["stretches"].records
    assert {record.data["sentence"] for record in records} <= {"a red circle", "a blue square"}
    assert records[0].data["from_seconds"] == 0.0


def test_what_is_stored_is_recognised_without_touching_video_or_model(platform: Platform) -> None:
    platform.add("a.mp4")
    platform.materialize("a.mp4")
    before = platform.store.manifest("clip_features", "a.mp4")
    platform.as_new()
    with (
        patch("clip_assets.core.pipeline.decoding.decode", side_effect=AssertionError("decoded")),
        patch("clip_assets.orchestration.resources.load_model", side_effect=AssertionError("loaded")),
    ):
        result = platform.materialize("a.mp4")
    assert result.success
    assert platform.store.manifest("clip_features", "a.mp4") == before
    assert metadata(result, "clip_features")["sampled_frames"] == corpus.FRAMES


def test_force_computes_again(platform: Platform) -> None:
    platform.add("a.mp4")
    platform.materialize("a.mp4")
    before = {asset: platform.store.manifest(asset, "a.mp4") for asset in ASSETS}
    assert platform.materialize("a.mp4", config={asset: {"force": True} for asset in ASSETS}).success
    after = {asset: platform.store.manifest(asset, "a.mp4") for asset in ASSETS}
    for asset in ASSETS:
        assert after[asset].created > before[asset].created
        assert after[asset].data_version == before[asset].data_version


def test_run_config_overrides_the_settings_sampling_and_sentences(platform: Platform) -> None:
    platform.change(extraction_fps=5.0)
    platform.add("a.mp4")
    config = {
        "frame_indices": {"extraction_fps": None, "extraction_total": 4},
        "text_match": {"pred_texts": ["one", "two", "three"]},
    }
    assert platform.materialize("a.mp4", config=config).success
    match = platform.store.read("text_match", "a.mp4", TextMatch)
    assert (match.texts, match.probabilities.shape) == (("one", "two", "three"), (4, 3))


def test_run_config_of_the_gpu_reaches_the_model(platform: Platform) -> None:
    platform.add("a.mp4")
    assert platform.materialize("a.mp4").success
    assert platform.store.manifest("clip_features", "a.mp4").parameters["precision"] == "fp32"
    assert platform.materialize("a.mp4", resources={"gpu": {"precision": "bf16"}}).success
    assert platform.store.manifest("clip_features", "a.mp4").parameters["precision"] == "bf16"


def test_without_sentences_the_kinetics_classes_are_matched(platform: Platform) -> None:
    platform.change(pred_texts=None, extraction_total=1)
    platform.add("a.mp4")
    assert platform.materialize("a.mp4").success
    texts = platform.store.read("text_match", "a.mp4", TextMatch).texts
    assert len(texts) == 400
    assert texts[0] == "a photo of abseiling"


def test_other_sentences_open_no_video_and_encode_no_frame_yet_have_all_their_pictures(platform: Platform) -> None:
    platform.change(pictures="on")
    platform.add("a.mp4")
    encode = ClipModel.encode_images
    with (
        patch("av.open", wraps=av.open) as opened,
        patch.object(ClipModel, "encode_images", autospec=True, side_effect=encode) as encoded,
    ):
        assert platform.materialize("a.mp4").success
        assert opened.call_count > 0
        assert encoded.call_count > 0
        opened.reset_mock()
        encoded.reset_mock()
        result = platform.materialize("a.mp4", config={"text_match": {"pred_texts": ["other", "another"]}})
        assert (opened.call_count, encoded.call_count) == (0, 0)
    assert result.success
    assert platform.store.read("text_match", "a.mp4", TextMatch).texts == ("other", "another")
    pictures = platform.store.pictures(platform.store.manifest("text_match", "a.mp4"))
    assert [picture.name for picture in pictures] == ["probabilities", "best_frames"]
    assert "another (" in pictures[1].alt
    assert {"probabilities", "best_frames"} <= set(metadata(result, "text_match"))


def test_a_broken_video_fails_its_own_partition_with_the_reason_first(platform: Platform) -> None:
    (platform.videos / "broken.mp4").write_text("not a video")
    platform.add("broken.mp4")
    result = platform.materialize("broken.mp4")
    assert not result.success
    assert failure(result).startswith("broken.mp4: ")
    assert "video" in failure(result)


def test_a_broken_video_does_not_cost_the_others_of_its_batch(platform: Platform) -> None:
    (platform.videos / "broken.mp4").write_text("not a video")
    shutil.copy(platform.videos / "a.mp4", platform.videos / "c.mp4")
    platform.add("a.mp4", "broken.mp4", "c.mp4")
    result = platform.materialize("a.mp4", "broken.mp4", "c.mp4", assets=["frame_indices"])
    assert not result.success
    assert failure(result).splitlines()[0] == "1 of 3 videos failed; the others are stored."
    assert sorted(platform.store.keys("frame_indices")) == ["a.mp4", "c.mp4"]


def test_a_materialization_links_to_the_videos_page_first(platform: Platform) -> None:
    platform.add("a.mp4")
    platform.change(browse_url="http://127.0.0.1:3001/")
    shown = metadata(platform.materialize("a.mp4", assets=["frame_indices"]), "frame_indices")
    assert next(iter(shown.items())) == ("video", "http://127.0.0.1:3001/video/a.mp4")


def test_each_partition_of_a_batch_has_its_own_metadata(platform: Platform) -> None:
    platform.change(pictures="on")
    corpus.single_frame(platform.videos / "b.mp4")
    platform.add("a.mp4", "b.mp4")
    result = platform.materialize("a.mp4", "b.mp4")
    assert result.success
    frames = {
        event.partition: event.materialization.metadata["sampled_frames"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("clip_features")
    }
    assert frames == {"a.mp4": corpus.FRAMES, "b.mp4": 1}


def test_an_unregistered_video_is_refused_by_dagster(platform: Platform) -> None:
    with pytest.raises(dg.DagsterUnknownPartitionError, match=r"a\.mp4"):
        platform.materialize("a.mp4")


def test_a_missing_video_is_named_with_its_path(platform: Platform) -> None:
    platform.instance.add_dynamic_partitions("videos", ["gone.mp4"])
    result = platform.materialize("gone.mp4")
    assert not result.success
    assert str(platform.videos / "gone.mp4") in failure(result)


def test_a_key_that_leads_out_of_the_library_is_refused(platform: Platform) -> None:
    platform.instance.add_dynamic_partitions("videos", ["../secret.mp4"])
    corpus.single_frame(platform.folder / "secret.mp4")
    result = platform.materialize("../secret.mp4")
    assert not result.success
    assert "can't be a partition key" in failure(result)
    assert list(platform.store.keys("frame_indices")) == []


def test_features_of_another_model_are_refused_and_both_are_named(platform: Platform) -> None:
    platform.add("a.mp4")
    platform.materialize("a.mp4")
    made = platform.store.manifest("clip_features", "a.mp4").parameters["weights_sha256"]
    platform.change(checkpoint=random_resnet(platform.folder / "resnet.pth"))
    result = platform.materialize("a.mp4", assets=["text_match"])
    assert not result.success
    assert made[:12] in failure(result)
    assert "Materialize clip_features again" in failure(result)


def test_a_video_that_changed_after_sampling_is_not_encoded_with_the_old_indices(platform: Platform) -> None:
    platform.add("a.mp4")
    platform.materialize("a.mp4", assets=["frame_indices"])
    corpus.single_frame(platform.videos / "a.mp4")
    result = platform.materialize("a.mp4", assets=["clip_features"])
    assert not result.success
    assert "has changed since its frames were chosen. Materialize frame_indices of it again." in failure(result)


def test_features_without_frame_indices_say_what_to_materialize_first(platform: Platform) -> None:
    platform.add("a.mp4")
    result = platform.materialize("a.mp4", assets=["clip_features"])
    assert not result.success
    assert "No frame_indices is stored for 'a.mp4'. Materialize it first." in failure(result)


def test_the_model_is_loaded_once_for_many_partitions(platform: Platform) -> None:
    for name in ("b", "c"):
        shutil.copy(platform.videos / "a.mp4", platform.videos / f"{name}.mp4")
    platform.add("a.mp4", "b.mp4", "c.mp4")
    platform.as_new()
    with patch("clip_assets.orchestration.resources.load_model", wraps=load_model) as loaded:
        assert platform.materialize("a.mp4", "b.mp4").success
        assert platform.materialize("c.mp4").success
    assert loaded.call_count == 1


def test_a_downstream_asset_gets_the_record_itself(platform: Platform) -> None:
    platform.add("a.mp4")
    platform.materialize("a.mp4")
    definitions = build_definitions(platform.settings)
    value = definitions.load_asset_value("clip_features", partition_key="a.mp4", instance=platform.instance)
    assert isinstance(value, ClipFeatures)
    assert value.clip.shape == (corpus.FRAMES, 48)


def test_a_partition_without_a_result_cannot_be_loaded(platform: Platform) -> None:
    platform.add("a.mp4")
    definitions = build_definitions(platform.settings)
    with pytest.raises(FileNotFoundError, match=r"clip_features/a\.mp4/manifest\.json"):
        definitions.load_asset_value("clip_features", partition_key="a.mp4", instance=platform.instance)
