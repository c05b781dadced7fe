"""The platform as people use it: the commands as processes, on a real instance, and the UI's server over GraphQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clip_assets.cli import main
from clip_assets.project import INSTANCE_SETTINGS
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit
from clip_assets_tests.making.platform import ASSETS
from clip_assets_tests.making.server import dagster_dev, wait_until

ROOT = Path(__file__).parents[2]
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A deployment on a SQLite instance: a library with a good and a broken video."""
    folder = tmp_path_factory.mktemp("deployment with spaces")
    (folder / "home").mkdir()
    shutil.copy(INSTANCE_SETTINGS, folder / "home")
    (folder / "videos").mkdir()
    corpus.constant_rate(folder / "videos" / "good one.mp4")
    (folder / "videos" / "broken.mp4").write_text("not a video")
    return {
        "DAGSTER_HOME": str(folder / "home"),
        "CLIP_ASSETS_VIDEOS": str(folder / "videos"),
        "CLIP_ASSETS_OUTPUT": str(folder / "output"),
        "CLIP_ASSETS_MODEL_NAME": "custom",
        "CLIP_ASSETS_CHECKPOINT": str(random_vit(folder / "vit.pth")),
        "CLIP_ASSETS_DEVICE_IDS": "cpu",
        "CLIP_ASSETS_PRED_TEXTS": "[a dog, a cat]",
        "PYTHONPATH": str(ROOT),
    }


def run(environment: dict[str, str], module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **environment},
        cwd=environment["DAGSTER_HOME"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def materialize(environment: dict[str, str], partition: str) -> subprocess.CompletedProcess[str]:
    return run(
        environment, "dagster", "asset", "materialize", "-m", "clip_assets.definitions", "--select", "*",
        "--partition", partition,
    )  # fmt: skip


@pytest.mark.cluster
def test_add_registers_the_videos_of_a_folder_and_prints_them(environment: dict[str, str]) -> None:
    result = run(environment, "clip_assets.cli", "add", environment["CLIP_ASSETS_VIDEOS"])
    assert (result.returncode, result.stdout) == (0, "broken.mp4\ngood one.mp4\n")


@pytest.mark.cluster
def test_dagster_materializes_a_registered_video_from_the_command_line(environment: dict[str, str]) -> None:
    run(environment, "clip_assets.cli", "add", environment["CLIP_ASSETS_VIDEOS"])
    result = materialize(environment, "good one.mp4")
    assert result.returncode == 0, result.stderr
    folder = Path(environment["CLIP_ASSETS_OUTPUT"]) / "clip_features" / "good one.mp4"
    assert np.load(folder / "clip.npy").shape == (corpus.FRAMES, 48)
    status = run(environment, "clip_assets.cli", "status")
    assert status.returncode == 0, status.stderr
    assert status.stdout.splitlines()[0].endswith(": 1 missing, 1 done")


@pytest.mark.cluster
def test_a_broken_video_fails_on_the_command_line_with_its_reason(environment: dict[str, str]) -> None:
    run(environment, "clip_assets.cli", "add", environment["CLIP_ASSETS_VIDEOS"])
    result = materialize(environment, "broken.mp4")
    assert result.returncode != 0
    assert "broken.mp4" in result.stderr
    assert "it is a text, no video" in result.stderr


def test_a_wrong_setting_ends_the_command_with_2_and_one_clear_line(environment: dict[str, str]) -> None:
    result = run({**environment, "CLIP_ASSETS_BATCH_SIZE": "0"}, "clip_assets.cli", "add", "good one.mp4")
    assert result.returncode == 2
    assert "CLIP_ASSETS_BATCH_SIZE='0'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"DAGSTER_HOME": ""}, "clip-assets init"), ({"CLIP_ASSETS_VIDEOS": "/nowhere"}, "not in the library")],
)
def test_what_is_wrong_with_a_deployment_is_told_in_one_clear_line(
    environment: dict[str, str],
    changed: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(environment["DAGSTER_HOME"])
    for name, value in {**environment, **changed}.items():
        monkeypatch.setenv(name, value)
    assert main(["add", str(Path(environment["CLIP_ASSETS_VIDEOS"]) / "good one.mp4")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_definitions_load_without_torch_clip_or_a_decoder(environment: dict[str, str]) -> None:
    heavy = "'torch', 'torchvision', 'clip', 'av', 'decord', 'pandas', 'matplotlib'"
    code = f"import sys, clip_assets.definitions; print([m for m in ({heavy}) if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"


@pytest.mark.cluster
def test_the_ui_s_server_shows_the_assets_and_materializes_a_video(environment: dict[str, str]) -> None:
    run(environment, "clip_assets.cli", "add", environment["CLIP_ASSETS_VIDEOS"])
    with dagster_dev(Path(environment["DAGSTER_HOME"]), environment) as server:
        nodes = server.query("{ assetNodes { assetKey { path } groupName isPartitioned description } }")["assetNodes"]
        assert {node["assetKey"]["path"][0] for node in nodes} == {"video", *ASSETS}
        assert all(node["isPartitioned"] and node["groupName"] == "clip" and node["description"] for node in nodes)
        run_id = server.launch(ASSETS, "good one.mp4")
        status = wait_until(lambda: (s := server.run_status(run_id)) in FINISHED and s, 80, "the run")
        assert status == "SUCCESS"
        query = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
            assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions } } } } }"""
        answer = server.query(query, key={"path": ["text_match"]})["assetNodeOrError"]
        assert answer["assetPartitionStatuses"]["materializedPartitions"] == ["good one.mp4"]
