"""The command ``clip-assets run``."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from clip_assets.cli.run_report import Report, plan_in_words, plan_lines
from clip_assets.core.library.named import Named
from clip_assets.core.model.devices import resolve_devices
from clip_assets.models import fetch_model
from clip_assets.orchestration.fleet_precision import check_same_precision
from clip_assets.orchestration.in_process import Execution, RunFailedError
from clip_assets.orchestration.instance import end_abandoned_runs, limit_encoding, open_instance, register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.queued import Queue
from clip_assets.orchestration.run_plan import Asked, Plan, make_plan
from clip_assets.project import load_settings

STATES = {
    "missing": "those without results",
    "failed": "those that failed, changed since or not",
    "stale": "those whose results were made with other settings",
}
"""The states that can be asked for, and what each means."""

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own."""
    parser.add_argument(
        "named",
        nargs="*",
        type=Named.parse,
        metavar="KEY | FILE | FOLDER",
        help="videos, also others than registered ones (default: the whole library)",
    )
    for state, meaning in STATES.items():
        parser.add_argument(f"--{state}", action="append_const", const=state, dest="states", help=meaning)
    parser.add_argument("--under", type=Named.parse, metavar="FOLDER", help="only those below a folder")
    parser.add_argument(
        "--queue", action="store_true", help="have Dagster's daemon do it, on whatever workers it has, and follow it"
    )
    parser.add_argument(
        "--dagster",
        metavar="URL",
        default="http://127.0.0.1:3000",
        help="address of Dagster's UI, for --queue (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and why, and do nothing")
    parser.add_argument("--json", action="store_true", help="a JSON object for each video, a line each")
    parser.set_defaults(run=run, states=[])


def run(arguments: argparse.Namespace) -> int:
    """Compute what is lacking; the exit code: 0, 1 where something failed, 130 where it was interrupted."""
    settings = load_settings(arguments.library)
    asked = Asked(arguments.named, arguments.under, arguments.states)
    with open_instance() as instance:
        end_abandoned_runs(instance)
        limit_encoding(instance)
        plan = make_plan(instance, settings, asked)
        if not arguments.json:
            sys.stdout.write(f"{plan_in_words(plan)}\n")
        if arguments.dry_run:
            for line in plan_lines(plan, as_json=arguments.json):
                sys.stdout.write(f"{line}\n")
            return 0
        if plan.tasks and not arguments.queue:
            fetch_model(settings.model_name, settings.custom_checkpoint)  # what is wrong with these is said at once
            resolve_devices(settings.device_ids)
            check_same_precision(instance, settings)
        if plan.new:
            register(instance, LibraryNames.of(settings), settings.source, plan.new)
        if not plan.tasks:
            return 0
        stop, report = threading.Event(), Report(plan, as_json=arguments.json)
        execution = (
            Queue(instance, settings, report, arguments.dagster, stop.is_set)
            if arguments.queue
            else Execution(instance, settings, report, stop.is_set)
        )
        return _execute(execution, plan, report, stop)


def _execute(execution: Execution | Queue, plan: Plan, report: Report, stop: threading.Event) -> int:
    """Compute in a thread of its own: Dagster would take Ctrl-C for itself in the main one."""
    failure: list[BaseException] = []

    def work() -> None:
        try:
            execution.execute(plan.tasks)
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            failure.append(error)

    worker = threading.Thread(target=work, daemon=True)
    with report.bar, _interrupts(stop, report.note):
        worker.start()
        while worker.is_alive():
            worker.join(0.2)
    report.summary()
    for error in failure:
        if not isinstance(error, RunFailedError):
            raise error
        sys.stderr.write(f"clip-assets: {error}\n")
        return 1
    if stop.is_set():
        sys.stderr.write("clip-assets: interrupted; what is stored is recorded. Go on with the same command.\n")
        return INTERRUPTED
    return 1 if report.counts["failed"] else 0


@contextmanager
def _interrupts(stop: threading.Event, note: Callable[[str], None]) -> Iterator[None]:
    """The first Ctrl-C, or SIGTERM, ends after the present video; the second at once, which loses what isn't stored."""

    def handle(signum: int, frame: object) -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()
        note("Ends after the present video; once more ends at once.")

    before = {signum: signal.signal(signum, handle) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
