"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from clip_assets.core.model import device_locks

# There are as many of pytest's processes as processors: more threads in each wait for one another, spinning.
# Set before torch is imported, which nothing here does: the process that only hands out the tests needs none.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples on every run, and no verdict by the clock.
hypothesis.settings.register_profile(
    "steady", deadline=None, derandomize=True, max_examples=50, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked gpu where there is none."""
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session", autouse=True)
def user_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder of the tests' own, and locks: what the user has is neither read, nor written, nor waited for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device_locks, "FOLDER", tmp_path_factory.mktemp("locks"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """The environment as it was before a test, once it ended: commands called in it put a ``.env`` into it."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    """Folder with published results of a real video, named by CLIP_ASSETS_TEST_REFERENCE."""
    folder = os.environ.get("CLIP_ASSETS_TEST_REFERENCE")
    if not folder:
        pytest.skip("CLIP_ASSETS_TEST_REFERENCE names no folder with the reference video and its published features")
    return Path(folder) / "v_GGSY1Qvo990"


@pytest.fixture(scope="session")
def reference_video(reference_folder: Path) -> Path:
    """A real video: 355 frames, 320 x 240, 19.62 frames per second."""
    return reference_folder / "v_GGSY1Qvo990.mp4"


@pytest.fixture(scope="session")
def demo_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the demo's clips in ``videos`` and their results in ``output``; not to be changed."""
    from clip_assets_tests.making.asked import store_demo_clips

    folder = tmp_path_factory.mktemp("demo_library")
    store_demo_clips(folder)
    return folder
