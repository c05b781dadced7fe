"""Machines of one instance that would compute in different precisions are told, by the names of both."""

from __future__ import annotations

import platform
from pathlib import Path

import dagster as dg
import pytest

from clip_assets.core.errors import SettingsError
from clip_assets.orchestration import fleet_precision
from clip_assets.orchestration.fleet_precision import check_same_precision
from clip_assets.settings import Settings


def test_a_mixed_fleet_is_told_to_set_the_precision_by_an_error_that_names_both_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr(fleet_precision.time, "time", lambda: clock[0])

    def check(host: str, devices: str | list[int], precision: str = "auto") -> None:
        monkeypatch.setattr(platform, "node", lambda: host)
        check_same_precision(
            instance, Settings(videos=tmp_path, model_name="demo", device_ids=devices, precision=precision)
        )

    with dg.DagsterInstance.ephemeral() as instance:
        check("with-gpu", [0])
        check("another-with-gpu", [0])
        with pytest.raises(SettingsError, match="fp32 on without and fp16 on with-gpu"):
            check("without", "cpu")
        check("without", "cpu", "fp16")
        check("with-gpu", [0])
        clock[0] += 8 * 24 * 60 * 60
        check("without", "cpu")
