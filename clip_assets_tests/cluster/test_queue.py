"""`clip-assets run --queue`: the daemon computes what is lacking, in few runs, and the command says what came of it."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from clip_assets.cli import main
from clip_assets.orchestration.instance import open_instance
from clip_assets_tests.making import corpus
from clip_assets_tests.making.server import dagster_dev

pytestmark = pytest.mark.cluster

KEYS = [f"{name}.mp4" for name in "abcdefg"]


@pytest.mark.timeout(400)
def test_scattered_videos_share_a_queued_run_and_one_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, home = tmp_path / "videos", tmp_path / "home"
    videos.mkdir()
    home.mkdir()
    environment = {
        "DAGSTER_HOME": str(home),
        "CLIP_ASSETS_VIDEOS": str(videos),
        "CLIP_ASSETS_OUTPUT": str(tmp_path / "output"),
        "CLIP_ASSETS_MODEL_NAME": "demo",
        "CLIP_ASSETS_PICTURES": "off",
        "CLIP_ASSETS_SETTLE_SECONDS": "0",
        "CLIP_ASSETS_SENSOR_INTERVAL": "5",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    for key in KEYS:
        corpus.single_frame(videos / key)
    assert main(["run"]) == 0
    for key in KEYS[::2]:
        corpus.write(videos / key, corpus.Recipe(frames=2))
    (videos / "g.mp4").write_bytes(b"no video")
    capsys.readouterr()

    assert main(["run", "--queue", "--dagster", "http://127.0.0.1:9"]) == 2
    assert "doesn't answer at http://127.0.0.1:9" in capsys.readouterr().err
    with dagster_dev(home, environment) as server:
        assert main(["run", "--queue", "--json", "--dagster", server.url]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["key"]: line["state"] for line in lines} == {
        **dict.fromkeys(("a.mp4", "c.mp4", "e.mp4"), "done"),
        "g.mp4": "failed",
    }
    with open_instance() as instance:
        began = [run.tags for run in instance.get_runs(dg.RunsFilter(), ascending=True) if run.remote_job_origin]
    assert began[0]["dagster/asset_partition_range_start"] == "a.mp4"
    assert began[0]["dagster/asset_partition_range_end"] == "g.mp4"
