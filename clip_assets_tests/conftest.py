"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Folder with published results of a real video, named by CLIP_ASSETS_REFERENCE."""
    folder = os.environ.get("CLIP_ASSETS_REFERENCE")
    if not folder:
        pytest.skip("CLIP_ASSETS_REFERENCE names no folder with the reference video and its published features")
    return Path(folder) / "v_GGSY1Qvo990"


@pytest.fixture(scope="session")
def reference_video(reference_folder: Path) -> Path:
    """A real video: 355 frames, 320 x 240, 19.62 frames per second."""
    return reference_folder / "v_GGSY1Qvo990.mp4"
