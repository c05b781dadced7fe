"""What the files of `deploy` name is there: settings, commands, classes, and one another."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from clip_assets.cli import commands
from clip_assets.settings import Settings, variable_name

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
MADE_BY_KUBERNETES = {"CLIP_ASSETS_PORT"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


VALUES = read(DEPLOY / "kubernetes" / "values.yaml")
CELERY = read(DEPLOY / "celery" / "dagster.yaml")
DOCKERFILE = (DEPLOY / "kubernetes" / "Dockerfile").read_text(encoding="utf-8")
SERVICES = read(COMPOSE)["services"]


def test_settings_that_are_named_exist() -> None:
    known = {variable_name(field) for field in Settings.model_fields}
    files = [path for path in DEPLOY.rglob("*") if path.is_file()]
    named = {name for path in files for name in re.findall(r"CLIP_ASSETS_[A-Z_]+", path.read_text(encoding="utf-8"))}
    assert named - known == MADE_BY_KUBERNETES


def test_launchers_that_are_named_exist() -> None:
    for launcher in (CELERY["run_launcher"], VALUES["runLauncher"]["config"]["customRunLauncher"]):
        module = find_spec(launcher["module"])
        assert module is not None
        assert module.origin is not None
        assert f"class {launcher['class']}(" in Path(module.origin).read_text(encoding="utf-8")


def test_the_chart_is_of_the_tested_dagster() -> None:
    (tested,) = re.findall(r"^dagster==(.*)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"--version {tested} " in (DEPLOY / "kubernetes" / "README.md").read_text(encoding="utf-8")


def test_no_service_of_kubernetes_makes_variables_that_are_taken_for_settings() -> None:
    for location in VALUES["dagster-user-deployments"]["deployments"]:
        assert not location["name"].startswith("clip-assets")


def test_what_the_containers_are_told_is_what_the_instance_asks_for() -> None:
    text = (DEPLOY / "celery" / "dagster.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"env: (\w+)", text))
    ours = {name: service for name, service in SERVICES.items() if "build" in service}
    for service in ours.values():
        assert asked <= set(service["environment"])
        assert (COMPOSE.parent / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        instance, home = service["volumes"][0].split(":")[:2]
        assert (COMPOSE.parent / instance).resolve() == DEPLOY / "celery" / "dagster.yaml"
        assert f"DAGSTER_HOME={Path(home).parent} " in (DEPLOY / "kubernetes" / "Dockerfile").read_text(
            encoding="utf-8"
        )
    assert ours["worker"]["deploy"]["replicas"] == CELERY["concurrency"]["runs"]["max_concurrent_runs"]


@pytest.mark.parametrize("service", ["page", "worker"])
def test_the_containers_commands_take_these_arguments(service: str) -> None:
    name, *arguments = SERVICES[service]["command"]
    assert name == "clip-assets"
    assert callable(commands._parse(arguments).run)
    with pytest.raises(SystemExit):
        commands._parse([*arguments, "--no-such-option"])


def test_every_file_that_is_copied_into_the_image_is_there() -> None:
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name
