"""Runs as Jobs of Kubernetes, by the values that are deployed: what is asked of it, and when a run counts as lost."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from clip_assets.demo import demo_clips
from clip_assets.orchestration import run_liveness
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.instance import register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.run_liveness import Pulse, Watch
from clip_assets.settings import Settings
from clip_assets_tests.making.kubernetes import Cluster, cluster

pytestmark = pytest.mark.cluster
pytest.importorskip("dagster_k8s")

DEPLOYED = Path(__file__).parents[2] / "deploy" / "kubernetes"
VALUES = yaml.safe_load((DEPLOYED / "values.yaml").read_text())
(LOCATION,) = VALUES["dagster-user-deployments"]["deployments"]
IMAGE = "{repository}:{tag}".format(**LOCATION["image"])
LAUNCHER = VALUES["runLauncher"]["config"]["customRunLauncher"]
SECRET = "what-the-instance-alone-knows"


@pytest.fixture
def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with cluster(tmp_path) as made:
        yield made


@pytest.fixture
def instance(tmp_path: Path, kubernetes: Cluster) -> Iterator[dg.DagsterInstance]:
    """One set up as the chart sets it up, save where its data is and how it finds Kubernetes."""
    outside = {"load_incluster_config": False, "kubeconfig_file": str(kubernetes.kubeconfig)}
    (tmp_path / "home").mkdir()
    settings = {
        "run_launcher": LAUNCHER | {"config": LAUNCHER["config"] | outside},
        "storage": {"sqlite": {"base_dir": str(tmp_path / SECRET)}},
        "run_monitoring": {"enabled": True},
        **VALUES["additionalInstanceConfig"],
    }
    with dg.instance_for_test(temp_dir=str(tmp_path / "home"), overrides=settings) as made:
        yield made


def origin(job: str) -> JobPythonOrigin:
    """Where the code of a job is, as the deployed code location says."""
    secrets = {"env_secrets": [secret["name"] for secret in LOCATION["envSecrets"]]}
    code = ModuleCodePointer("clip_assets.definitions", "defs", None)
    return JobPythonOrigin(job, RepositoryPythonOrigin("python", code, IMAGE, ["dagster"], {"k8s": secrets}))


def launched(instance: dg.DagsterInstance, **tags: str) -> tuple[dg.DagsterRun, str]:
    """A run that nobody executes; and the name of its Job."""
    run = instance.add_run(dg.DagsterRun("job", tags=tags, job_code_origin=origin("job")))
    return run, launch(instance, run)


def launch(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    instance.launch_run(run.run_id, workspace=None)  # type: ignore[arg-type]  # it is for launchers that ask it
    return f"dagster-run-{run.run_id}"


@pytest.fixture
def begun(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> tuple[dg.DagsterRun, str]:
    """A run that has begun, whose pulse is looked at every 5 seconds; and the name of its Job."""
    clock = iter(range(0, 1000, 5))
    monkeypatch.setitem(run_liveness._watches, instance, Watch(lambda: next(clock)))
    run, job = launched(instance)
    begin(instance, run)
    return run, job


def begin(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Say that its process has begun."""
    instance.handle_run_event(run.run_id, dg.DagsterEvent("PIPELINE_START", run.job_name))


def monitor(instance: dg.DagsterInstance, times: int = 1) -> None:
    """What the daemon does every few seconds."""
    workspace: Any = SimpleNamespace(instance=instance, create_request_context=lambda: None)
    for _ in range(times):
        assert [*execute_run_monitoring_iteration(workspace, logging.getLogger("tests"))] == [None]


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    return instance.get_run_by_id(run.run_id).status.value  # type: ignore[union-attr]


def container(kubernetes: Cluster, job: str) -> dict[str, Any]:
    (found,) = kubernetes.jobs[job]["spec"]["template"]["spec"]["containers"]
    return found


def test_a_run_is_a_job_with_the_locations_image_one_gpu_and_the_cache(
    instance: dg.DagsterInstance, kubernetes: Cluster
) -> None:
    _, job = launched(instance)
    made = container(kubernetes, job)
    assert made["image"] == IMAGE
    assert made["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    pod = kubernetes.jobs[job]["spec"]["template"]["spec"]
    (claim,) = yaml.safe_load_all((DEPLOYED / "cache.yaml").read_text())
    volumes = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["volumes"]}
    assert volumes["cache"] == {"claimName": claim["metadata"]["name"]}
    mounted = {mount["name"]: mount["mountPath"] for mount in made["volumeMounts"]}
    assert LOCATION["env"]["CLIP_ASSETS_CACHE"].startswith(f"{mounted['cache']}/")
    assert pod["automountServiceAccountToken"] is False
    assert kubernetes.jobs[job]["spec"]["backoffLimit"] == 0, "a run isn't begun twice"


def test_the_documented_tag_gives_one_run_two_gpus(instance: dg.DagsterInstance, kubernetes: Cluster) -> None:
    (tag,) = re.findall(r"```json\n(.*?)```", (DEPLOYED / "README.md").read_text(), re.DOTALL)
    _, job = launched(instance, **{"dagster-k8s/config": json.dumps(json.loads(tag))})
    made = container(kubernetes, job)
    assert made["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert {"name": "CLIP_ASSETS_DEVICE_IDS", "value": "[0, 1]"} in made["env"]
    assert made["image"] == IMAGE
    _, other = launched(instance)
    assert container(kubernetes, other)["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_a_job_names_secrets_and_holds_none_of_what_the_instance_knows(
    instance: dg.DagsterInstance, kubernetes: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", SECRET)
    _, job = launched(instance)
    made = container(kubernetes, job)
    password = {"name": VALUES["global"]["postgresqlSecretName"], "key": "postgresql-password"}
    assert {"name": "DAGSTER_PG_PASSWORD", "valueFrom": {"secretKeyRef": password}} in made["env"]
    assert made["envFrom"] == [{"secretRef": {"name": "clip-assets"}}]
    assert SECRET in str(instance.get_ref())
    assert SECRET not in json.dumps(kubernetes.jobs[job])


@pytest.mark.timeout(300)
def test_the_arguments_suffice_a_pod_that_has_a_dagster_yaml_of_its_own(
    instance: dg.DagsterInstance, kubernetes: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {
        "CLIP_ASSETS_VIDEOS": str(demo_clips()[0].parent),
        "CLIP_ASSETS_OUTPUT": str(tmp_path / "output"),
        "CLIP_ASSETS_MODEL_NAME": "demo",
        "CLIP_ASSETS_EXTRACTION_FPS": "1",
        "CLIP_ASSETS_PICTURES": "off",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    key = demo_clips()[0].name
    library = Settings.from_environment()
    register(instance, LibraryNames.of(library), library.source, [key])
    frames = dg.AssetKey("frame_indices")
    definition = build_definitions(library).resolve_implicit_global_asset_job_def()
    run = instance.create_run_for_job(
        definition,
        tags={"dagster/partition": key},
        asset_selection=frozenset([frames]),
        job_code_origin=origin(definition.name),
    )
    job = launch(instance, run)

    made = container(kubernetes, job)
    told = {one["name"]: one["value"] for one in made["env"] if "value" in one}
    volumes = kubernetes.jobs[job]["spec"]["template"]["spec"]["volumes"]
    (volume,) = [one["name"] for one in volumes if one.get("configMap") == {"name": "dagster-instance"}]
    (mount,) = [one for one in made["volumeMounts"] if one["name"] == volume]
    assert mount["mountPath"] == f"{told['DAGSTER_HOME']}/dagster.yaml"
    assert mount["subPath"] == "dagster.yaml"
    (tmp_path / "pod").mkdir()
    settings = {"storage": {"sqlite": {"base_dir": str(tmp_path / SECRET)}}, "run_launcher": LAUNCHER}
    (tmp_path / "pod" / "dagster.yaml").write_text(yaml.safe_dump(settings))
    assert made["args"][0] == "dagster"
    done = subprocess.run(
        [sys.executable, "-m", *made["args"]],
        cwd=tmp_path / "pod",
        env={**os.environ, **told, "DAGSTER_HOME": str(tmp_path / "pod"), "PYTHONPATH": str(DEPLOYED.parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert status_of(instance, run) == "SUCCESS"
    assert instance.get_materialized_partitions(frames) == {key}


def test_a_run_at_work_is_asked_to_end_and_its_job_deleted_when_it_is_asked_again(
    instance: dg.DagsterInstance, kubernetes: Cluster, begun: tuple[dg.DagsterRun, str]
) -> None:
    run, job = begun
    pulse = Pulse(instance, run.run_id)
    pulse.beat()
    assert not pulse.is_over
    assert instance.run_launcher.terminate(run.run_id)
    pulse.beat()
    assert pulse.is_over, "it ends at its next video"
    assert (status_of(instance, run), [*kubernetes.jobs]) == ("CANCELING", [job])
    assert instance.run_launcher.terminate(run.run_id)
    assert kubernetes.jobs == {}


def test_terminating_a_run_that_waits_for_its_pod_deletes_its_job(
    instance: dg.DagsterInstance, kubernetes: Cluster
) -> None:
    run, job = launched(instance)
    assert job in kubernetes.jobs
    assert instance.run_launcher.terminate(run.run_id)
    assert (status_of(instance, run), kubernetes.jobs) == ("CANCELING", {})
    assert not instance.run_launcher.terminate("0" * 32), "there is no such run"


def test_a_run_fails_when_its_pod_is_lost_or_its_job_is_gone(
    instance: dg.DagsterInstance, kubernetes: Cluster, begun: tuple[dg.DagsterRun, str]
) -> None:
    lost, job = begun
    monitor(instance)
    assert status_of(instance, lost) == "STARTED"
    kubernetes.lose_pod(job)
    monitor(instance)
    assert status_of(instance, lost) == "FAILURE"
    gone, job = launched(instance)
    begin(instance, gone)
    del kubernetes.jobs[job]
    monitor(instance)
    assert status_of(instance, gone) == "FAILURE"


def test_a_run_fails_when_its_node_is_silent_and_kubernetes_does_not_say_so(
    instance: dg.DagsterInstance, kubernetes: Cluster, begun: tuple[dg.DagsterRun, str]
) -> None:
    run, job = begun
    Pulse(instance, run.run_id).beat()
    monitor(instance, times=6)
    assert status_of(instance, run) == "STARTED"
    monitor(instance)
    assert status_of(instance, run) == "FAILURE", "30 seconds after its last beat"
    assert kubernetes.jobs[job]["status"] == {"active": 1}


def test_a_run_that_lives_goes_on_where_kubernetes_can_not_be_asked(
    instance: dg.DagsterInstance, kubernetes: Cluster, begun: tuple[dg.DagsterRun, str]
) -> None:
    run, _ = begun
    pulse = Pulse(instance, run.run_id)
    for kubernetes.fault in (503, "none") * 4:
        pulse.beat()
        monitor(instance)
    assert status_of(instance, run) == "STARTED"
    monitor(instance, times=5)
    assert status_of(instance, run) == "STARTED"
    monitor(instance)
    assert status_of(instance, run) == "FAILURE", "30 seconds after its last beat"
