"""Runs as Jobs of Kubernetes: what a pod is told, and by what its run is known to be gone.

An instance names its launcher in its ``dagster.yaml``, which Helm makes of the values in `deploy/kubernetes`. Needs the
extra ``k8s``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from clip_assets.orchestration.dagster_launching import (
    CheckRunHealthResult,
    LaunchRunContext,
    WorkerStatus,
    execution_command,
    needs_extra,
)
from clip_assets.orchestration.run_launcher import health

with needs_extra("k8s"):
    from dagster_k8s.job import get_job_name_from_run_id
    from dagster_k8s.launcher import K8sRunLauncher
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

_ANSWER_SECONDS = 2.0
"""To wait for Kubernetes' answer; tried four times. The monitor asks about one run after the other."""

_NOT_THERE = 404

_INSTANCE = "dagster.yaml"
"""What the ConfigMap of an instance has, and a pod's ``DAGSTER_HOME``."""

_VOLUME = "dagster-instance"


class WatchedK8sRunLauncher(K8sRunLauncher):
    """Dagster's launcher for Kubernetes, which tells a run that is gone from one it can't ask about, and no secrets."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Make a Job whose arguments name the run and where its code is; the pod has its own ``dagster.yaml``."""
        run = context.dagster_run
        command = execution_command(run, set_exit_code_on_failure=self.fail_pod_on_run_failure)
        self._launch_k8s_job_with_args(get_job_name_from_run_id(run.run_id), command, run)

    @property
    def volumes(self) -> Sequence[Mapping[str, Any]]:
        """What the configuration says, and the instance's ConfigMap: Dagster's pods are told all in their arguments."""
        return [*super().volumes, {"name": _VOLUME, "config_map": {"name": self.instance_config_map}}]

    @property
    def volume_mounts(self) -> Sequence[Mapping[str, Any]]:
        """Where the configuration says, and the file of the instance where a pod looks for it."""
        file = {"name": _VOLUME, "mount_path": f"{self.dagster_home}/{_INSTANCE}", "sub_path": _INSTANCE}
        return [*super().volume_mounts, file]

    def terminate(self, run_id: str) -> bool:
        """Ask a run that is at work to end, which it does at its next video; asked again, it is broken off."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.status != dg.DagsterRunStatus.STARTED:
            return bool(super().terminate(run_id))
        self._instance.report_run_canceling(run)
        return True

    @property
    def supports_resume_run(self) -> bool:
        """Whether a run goes on in another pod: what it left is asked for in a new run."""
        return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives, by Kubernetes, or else by its pulse.

        Of a node that is gone Kubernetes says nothing for minutes, and where it can't be asked, that ends no run.
        """
        if why := self._why_lost(run):
            return CheckRunHealthResult(WorkerStatus.FAILED, why)
        return health(self._instance, run)

    def _why_lost(self, run: dg.DagsterRun) -> str:
        """What Kubernetes says of a run that is at work and has no pod; empty where it has one, or nobody answers."""
        job, namespace = get_job_name_from_run_id(run.run_id), self.get_container_context_for_run(run).namespace
        api = self._api_client.batch_api
        try:
            status = api.read_namespaced_job_status(job, namespace, _request_timeout=_ANSWER_SECONDS).status
        except ApiException as error:
            return f"The Job {job} is gone." if error.status == _NOT_THERE else ""
        except HTTPError:
            return ""
        has_ended = not status.active and (status.failed or status.succeeded)
        return f"The pod of the Job {job} has ended, and the run hasn't." if has_ended else ""
