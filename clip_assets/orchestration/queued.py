"""Runs that Dagster's daemon executes, wherever its launcher has them executed: asked for at the UI, and followed."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from clip_assets.core.errors import SettingsError
from clip_assets.core.library.changes import bridges, neighbour_batches
from clip_assets.orchestration.failed_batches import AGAIN_TAG
from clip_assets.orchestration.in_process import Listener
from clip_assets.orchestration.instance import UNFINISHED, failures, held_keys, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.partitions import KeysOfRuns, partition_tags
from clip_assets.orchestration.run_plan import Task
from clip_assets.results.states import video_states
from clip_assets.settings import LibrarySettings

SECONDS_BETWEEN_LOOKS = 2.0

_ANSWER_SECONDS = 30.0

_JOBS = """
{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } jobs { name } } } } }
"""

_LAUNCH = """
mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
} }
"""


@dataclass
class Queue:
    """Has tasks executed by the daemon.

    Attributes:
        instance: Where the runs are recorded; the webserver's too.
        settings: The library's.
        listener: Hears what becomes of each video.
        url: The webserver's address.
        stop: Whether to follow no more; the runs go on.
    """

    instance: dg.DagsterInstance
    settings: LibrarySettings
    listener: Listener
    url: str
    stop: Callable[[], bool] = lambda: False
    _names: LibraryNames = field(init=False)

    def __post_init__(self) -> None:
        self._names = LibraryNames.of(self.settings)

    def execute(self, tasks: Sequence[Task]) -> None:
        """Queue what is lacking in as few runs as are cheaper, and follow them to their end.

        Raises:
            SettingsError: The webserver doesn't answer, doesn't know the library, or takes no runs.
        """
        held = held_keys(self.instance, self._names)
        wanted = {task.key: task.assets for task in tasks if task.key not in held}
        for task in tasks:
            if task.key in held:
                self.listener.left(task.key)
        launch = self._launcher()
        runs = {launch(batch, wanted[batch[0]]): list(batch) for batch in self._batches(wanted, held)}
        self._follow(runs, wanted)

    def _batches(self, wanted: Mapping[str, tuple[str, ...]], held: set[str]) -> Iterator[Sequence[str]]:
        """Which videos share a run: they lack the same, with what is done between them."""
        order = registered(self.instance, self._names)
        between = [key for key in bridges(wanted, order) if key not in held]
        done = {video.key for video in video_states(self.settings, between, {}) if video.state == "done"}
        for assets in dict.fromkeys(wanted.values()):
            together = {key for key in wanted if wanted[key] == assets}
            yield from neighbour_batches(together, order, self.settings.videos_per_run, done)

    def _launcher(self) -> Callable[[Sequence[str], Sequence[str]], str]:
        """What queues a run for a batch and some assets, and gives the run's id."""
        job = self._names("extract_clip_features")
        nodes = self._ask(_JOBS)["repositoriesOrError"].get("nodes", ())
        found = [node for node in nodes if job in {one["name"] for one in node["jobs"]}]
        if not found:
            raise SettingsError(f"Dagster at {self.url} has no job {job}: it serves other libraries.")
        selector = {
            "repositoryLocationName": found[0]["location"]["name"],
            "repositoryName": found[0]["name"],
            "pipelineName": job,
        }

        def launch(batch: Sequence[str], assets: Sequence[str]) -> str:
            selection = [{"path": list(key.path)} for key in self._names.keys(assets)]
            tags = [{"key": name, "value": value} for name, value in partition_tags(batch).items()]
            answer = self._ask(
                _LAUNCH,
                params={
                    "selector": {**selector, "assetSelection": selection},
                    "mode": "default",
                    "runConfigData": {},
                    "executionMetadata": {"tags": tags},
                },
            )["launchPipelineExecution"]
            if answer["__typename"] != "LaunchRunSuccess":
                raise SettingsError(
                    f"Dagster at {self.url} takes no run: {answer.get('message', answer['__typename'])}"
                )
            run_id: str = answer["run"]["runId"]
            return run_id

        return launch

    def _follow(self, runs: Mapping[str, Sequence[str]], wanted: Mapping[str, object]) -> None:
        """Tell what became of each video once no run has it that was asked for, or asked for after one that failed."""
        ours, open_keys = set(runs), {key for batch in runs.values() for key in batch if key in wanted}
        quiet_since: dict[str, float] = {}
        patience = 3.0 * self.settings.sensor_interval  # in which `split_failed_batches` asks for what a run left
        while open_keys and not self.stop():
            again = [run for run in self._unfinished() if run.run_id in ours or run.tags.get(AGAIN_TAG) in ours]
            ours |= {run.run_id for run in again}
            keys_of = KeysOfRuns(registered(self.instance, self._names))
            held = {key for run in again for key in keys_of(run.tags)}
            ended = [key for key in open_keys if key not in held]
            states = video_states(self.settings, ended, failures(self.instance, self._names) if ended else {})
            for video in states:
                since = quiet_since.setdefault(video.key, time.monotonic())
                if video.state == "done":
                    self.listener.done(video.key, video.frames)
                elif time.monotonic() - since > patience:
                    self.listener.failed(video.key, video.reason or f"its run left it {video.state}")
                else:
                    continue
                open_keys.remove(video.key)
            for key in held:
                quiet_since.pop(key, None)
            if open_keys:
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def _unfinished(self) -> Sequence[dg.DagsterRun]:
        return self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:
                answer = json.load(response)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"Dagster's UI doesn't answer at {self.url}: {error}. "
                "Start it with clip-assets dev, or name it: --dagster URL"
            ) from error
        if "errors" in answer:
            raise SettingsError(f"Dagster at {self.url} doesn't understand: {answer['errors'][0]['message']}")
        data: dict[str, Any] = answer["data"]
        return data
