"""Ctrl-C at any moment: exit code 130, finished videos on disk, nothing half-written, and the next call goes on."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from clip_assets_tests.extract.conftest import Extract

VIDEOS = 24


def interrupted(folder: Path, finished: int, delay_seconds: float) -> subprocess.CompletedProcess[str]:
    """The command, interrupted some time after so many videos are on disk; 0 videos: after its start."""
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from clip_assets.cli import main; print('started', flush=True); sys.exit(main(sys.argv[1:]))"
    )
    argv = ["extract", "model_name=custom", "cpu=true", "on_extraction=save_numpy", "batch_size=8", "videos"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        while len(list((folder / "output").glob("*_clip.json"))) < finished and process.poll() is None:
            time.sleep(0.005)
        time.sleep(delay_seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.cluster
@pytest.mark.parametrize(("finished", "up_to_seconds"), [(0, 1.0), (1, 0.02), (5, 0.2)])
def test_an_interrupt_leaves_whole_files_only_and_the_next_call_does_the_rest(
    workdir: Path, extract: Extract, finished: int, up_to_seconds: float
) -> None:
    (workdir / "videos").mkdir()
    for number in range(VIDEOS):
        shutil.copy(workdir / "a.mp4", workdir / "videos" / f"v{number}.mp4")
    result = interrupted(workdir, finished, random.Random(finished).uniform(0, up_to_seconds))
    assert result.returncode == 130, result.stderr
    assert "Traceback" not in result.stderr
    left = {path.name for path in workdir.glob("output/*")}
    whole = {name.removesuffix("_clip.json") for name in left if name.endswith(".json")}
    assert left == {
        f"{stem}_{end}" for stem in whole for end in ("clip.json", "clip.npy", "fps.npy", "timestamps_ms.npy")
    }
    assert finished <= len(whole) < VIDEOS
    for stem in whole:
        note = json.loads((workdir / "output" / f"{stem}_clip.json").read_text())
        assert np.load(workdir / "output" / f"{stem}_clip.npy").shape == (note["frames"], note["feature_width"])
    rest = extract("on_extraction=save_numpy", "videos")
    assert rest.code == 0
    assert f"{VIDEOS - len(whole)} of {VIDEOS} videos extracted" in rest.err
    assert len(list((workdir / "output").iterdir())) == 4 * VIDEOS
