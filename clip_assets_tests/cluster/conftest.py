"""Servers that several modules' tests ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clip_assets_tests.making.s3 import S3, environment, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server, which this process and those that it starts find by their environment."""
    pytest.importorskip("moto")
    with s3_server() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(server).items():
            patch.setenv(name, value)
        yield server
