from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clip_assets_tests.making.platform import Platform, platform_of_single_frames


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    """With an empty library."""
    with platform_of_single_frames(tmp_path, []) as made:
        yield made
