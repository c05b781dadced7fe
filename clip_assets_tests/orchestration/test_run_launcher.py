"""The launcher that each instance names lets Dagster's monitor hear that a run's process was killed."""

from __future__ import annotations

import signal
import sys
import uuid
from pathlib import Path

import dagster as dg
import pytest
import yaml

from clip_assets.cli import main
from clip_assets.core.errors import SettingsError
from clip_assets.orchestration.instance import has_workers, open_instance
from clip_assets.orchestration.run_launcher import WatchedRunLauncher
from clip_assets.orchestration.run_liveness import signs_folder
from clip_assets.project import INSTANCE_SETTINGS
from clip_assets_tests.orchestration.test_run_liveness import holder


@pytest.mark.dagster_bounds
@pytest.mark.skipif(sys.platform == "win32", reason="files can't be locked so")
def test_run_monitoring_hears_that_the_process_is_gone(tmp_path: Path) -> None:
    launcher = yaml.safe_load(INSTANCE_SETTINGS.read_text(encoding="utf-8"))["run_launcher"]
    assert launcher == {"module": "clip_assets.liveness", "class": "WatchedRunLauncher"}, "instances name it so"
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides={"run_launcher": launcher}) as instance:
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert instance.run_launcher.supports_check_run_worker_health
        run = dg.DagsterRun("job", run_id=str(uuid.uuid4()), status=dg.DagsterRunStatus.STARTED)
        assert instance.run_launcher.check_run_worker_health(run).status.value == "RUNNING"
        process = holder(signs_folder(instance, run.run_id))
        assert instance.run_launcher.check_run_worker_health(run).status.value == "RUNNING"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert instance.run_launcher.check_run_worker_health(run).status.value == "NOT_FOUND"


def test_a_worker_without_celery_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLIP_ASSETS_VIDEOS", str(tmp_path))
    monkeypatch.setitem(sys.modules, "celery", None)
    monkeypatch.delitem(sys.modules, "clip_assets.orchestration.celery_launcher", raising=False)
    assert main(["worker"]) == 2
    assert "pip install 'clip_assets[celery]'" in capsys.readouterr().err


def test_a_worker_without_the_variables_of_its_instance_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("dagster_celery")
    monkeypatch.delenv("DAGSTER_BROKER", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("CLIP_ASSETS_VIDEOS", str(tmp_path))
    broker = {"broker": {"env": "DAGSTER_BROKER"}}
    launcher = {"module": "clip_assets.orchestration.celery_launcher", "class": "WatchedCeleryRunLauncher"}
    settings = tmp_path / "dagster.yaml"
    settings.touch()
    with open_instance() as instance:
        assert not has_workers(instance)
    settings.write_text(yaml.safe_dump({"run_launcher": {**launcher, "config": broker}}))
    with open_instance() as instance:
        assert has_workers(instance)
    assert main(["worker"]) == 2
    assert f"{settings} needs DAGSTER_BROKER, which isn't set" in capsys.readouterr().err


def test_a_launcher_for_kubernetes_without_its_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = {"module": "clip_assets.orchestration.k8s_launcher", "class": "WatchedK8sRunLauncher", "config": {}}
    monkeypatch.setitem(sys.modules, "dagster_k8s.job", None)  # whatever another test has imported
    monkeypatch.delitem(sys.modules, launcher["module"], raising=False)
    with (
        dg.instance_for_test(overrides={"run_launcher": launcher}) as instance,
        pytest.raises(SettingsError, match=r"pip install 'clip_assets\[k8s\]'"),
    ):
        _ = instance.run_launcher
