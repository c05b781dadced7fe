"""A run whose process was killed is told from one that works, that has ended, or that gives no sign."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from clip_assets.orchestration.run_liveness import Sign, is_abandoned, signs_folder
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import make_platform

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files can't be locked so")

HOLD = "import sys, time; from pathlib import Path; from clip_assets.orchestration.run_liveness import Sign; "
HOLD += "sign = Sign(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_killed_process_has_abandoned_its_run_and_a_living_one_has_not(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        assert not is_abandoned(tmp_path)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert is_abandoned(tmp_path)
    sign = Sign(tmp_path)
    assert not is_abandoned(tmp_path), "another process has taken over"
    sign.take_down()
    assert is_abandoned(tmp_path)


def test_work_that_ended_or_never_gave_a_sign_is_not_abandoned(tmp_path: Path) -> None:
    assert not is_abandoned(tmp_path / "never")
    Sign(tmp_path).take_down()
    assert not is_abandoned(tmp_path)


def test_a_run_gives_a_sign_while_it_works_and_none_afterwards(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        platform = make_platform(tmp_path, instance)
        corpus.single_frame(platform.videos / "a.mp4")
        platform.add("a.mp4")
        result = platform.materialize("a.mp4")
        folder = signs_folder(instance, result.run_id)
        assert folder.is_dir()
        assert list(folder.iterdir()) == []
