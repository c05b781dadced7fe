"""``clip-assets``: the platform from a terminal. Thin: every command calls what the assets and the UI use too."""

import argparse
import atexit
import gc
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from clip_assets.advice import EXTRACT, PLATFORM, explain
from clip_assets.core.errors import ClipAssetsError
from clip_assets.core.garbage import collect_rarely

_SHORT = ("add", "remove", "show", "status")
"""Commands that end soon."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code: 0 done, 1 some of it failed, 2 wrong arguments or settings, 130 interrupted."""
    if argv is None:
        argv = sys.argv[1:]
        if argv and argv[0] in _SHORT:
            _spare_garbage_collection()
    arguments = _parse(argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        exit_code: int = arguments.run(arguments)
    except ClipAssetsError as error:
        sys.stderr.write(f"clip-assets: {explain(error, arguments.advice)}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("clip-assets: interrupted\n")
        return 130
    except BrokenPipeError:  # whoever reads the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return exit_code


def _spare_garbage_collection() -> None:
    """For a process that ends soon: a third of its time would go there, while Dagster is imported and at the end."""
    collect_rarely()
    atexit.register(gc.freeze)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    if argv[:1] == ["extract"]:  # reads what follows itself: argparse has no key=value
        return argparse.Namespace(run=_extract, advice=EXTRACT, argv=argv[1:])
    return _parser(argv).parse_args(argv)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with the reason, and with the way out for a name that looks like an option."""
        if "required" in message or "unrecognized" in message:
            message = f"{message}\nA key or a path that begins with - goes after --, as in: {self.prog} -- -a.mp4"
        super().error(message)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="clip-assets", description="Folders of videos become CLIP features.")
    parser.set_defaults(advice=PLATFORM)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="make a project: its settings and its Dagster instance")
    init.add_argument(
        "project", nargs="?", type=Path, default=Path(), metavar="PROJECT", help="its folder (default: .)"
    )
    init.add_argument("--videos", required=True, metavar="FOLDER", help="the library; nothing is written there")
    init.add_argument("--model", metavar="NAME", help="CLIP model, as ViT-B/32 (the default)")
    init.add_argument("--fps", type=float, help="samples per second (default: every frame)")
    init.set_defaults(run=_init)

    dev = commands.add_parser("dev", help="open the page to ask and Dagster's UI, with its daemon beside it")
    dev.add_argument(
        "--port",
        type=int,
        default=3000,
        help="of Dagster's UI, the next one is the page's; the next free ones if they are taken (default: 3000)",
    )
    dev.set_defaults(run=_dev)

    worker = commands.add_parser("worker", help="compute runs that Dagster's daemon queues with Celery, one by one")
    worker.set_defaults(run=_worker)

    add = commands.add_parser("add", help="register videos of the library as partitions")
    add.add_argument("paths", nargs="+", type=_place, metavar="PATH", help="a video, or a folder: all videos below it")
    add.set_defaults(run=_add)

    run = commands.add_parser("run", help="compute what the library lacks: what is missing, stale, or was mended")
    if argv[:1] == ["run"]:  # else Dagster would be loaded for every command
        from clip_assets.cli.run import add_arguments as add_run_arguments

        add_run_arguments(run)

    status = commands.add_parser("status", help="what is stored of each partition, and whether it is up to date")
    remove = commands.add_parser("remove", help="forget videos: they are no partitions any more; results stay")
    if argv[:1] in (["status"], ["remove"]):  # else Dagster would be loaded for every command
        from clip_assets.cli import remove as removing
        from clip_assets.cli import status as telling

        telling.add_arguments(status)
        removing.add_arguments(remove)

    show = commands.add_parser("show", help="what is stored of one video: source, speed, cuts, what it shows when")
    show.add_argument("key", metavar="KEY", help="the partition's key: the video's path below the library")
    show.add_argument("--html", type=_absolute, metavar="FILE", help="write one page with the pictures instead")
    show.set_defaults(run=_show)

    find = commands.add_parser("find", help="the moments of all videos that go with a sentence, a picture, a moment")
    similar = commands.add_parser("similar", help="the videos that are most like one of them")
    if argv[:1] in (["find"], ["similar"]):  # else NumPy would be loaded for every command
        from clip_assets.cli.find import add_find_arguments, add_similar_arguments

        add_find_arguments(find)
        add_similar_arguments(similar)

    models = commands.add_parser("models", help="the models there are: width, picture size, score, downloaded or not")
    if argv[:1] == ["models"]:
        from clip_assets.cli.models import add_arguments as add_models_arguments

        add_models_arguments(models)

    export = commands.add_parser("export", help="write what is stored as Parquet, WebDataset, HDF5 or CSV files")
    if argv[:1] == ["export"]:
        from clip_assets.cli.export import add_arguments as add_export_arguments

        add_export_arguments(export)

    browse = commands.add_parser("browse", help="open the page to ask and to look at all videos")
    if argv[:1] == ["browse"]:
        from clip_assets.cli.browse import add_arguments

        add_arguments(browse)

    demo = commands.add_parser("demo", help="materialize the bundled clips and print what each frame shows")
    demo.set_defaults(run=_demo)

    for of_a_library in (add, browse, export, find, models, remove, run, show, similar, status):
        of_a_library.add_argument(
            "--library", metavar="NAME", help="one that a file of the project declares (default: the environment's)"
        )

    commands.add_parser("extract", help="extract videos by video_features' arguments: no instance, no partitions")
    return parser


def _extract(arguments: argparse.Namespace) -> int:
    from clip_assets.extract.command import run

    return run(arguments.argv)


def _absolute(path: str) -> Path:
    """A path as the user means it, wherever the command goes afterwards."""
    return Path(path).absolute()


def _place(text: str) -> str | Path:
    """A path as the user means it, or a URL."""
    from clip_assets.core.file_systems import is_url

    return text if is_url(text) else _absolute(text)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _init(arguments: argparse.Namespace) -> int:
    from clip_assets.project import init_project

    for line in init_project(arguments.project, arguments.videos, arguments.model, arguments.fps):
        _say(line)
    return 0


def _dev(arguments: argparse.Namespace) -> int:
    from clip_assets.cli.dev import HOST, browse_service, dagster_service, own_port, run_together
    from clip_assets.orchestration.fleet_precision import check_same_precision
    from clip_assets.orchestration.instance import limit_encoding, open_instance
    from clip_assets.project import instance_folder, load_settings, refresh_instance_settings
    from clip_assets.settings import variable_name

    settings = load_settings()
    if news := refresh_instance_settings(instance_folder()):
        _say(news)
    with open_instance() as instance:
        limit_encoding(instance)
        check_same_precision(instance, settings)
    with own_port(arguments.port) as port, own_port(port + 1) as browse_port:
        if port != arguments.port:
            _say(f"Port {arguments.port} is taken; this is on {port}.")
        os.environ.setdefault(variable_name("browse_url"), f"http://{HOST}:{browse_port}")
        _say("Starting the page to ask, Dagster's UI and its daemon ...")
        dagster = dagster_service(port, settings.group)
        return run_together([browse_service(browse_port, dagster), dagster], _say)


def _worker(arguments: argparse.Namespace) -> int:
    from clip_assets.orchestration.fleet_precision import check_same_precision
    from clip_assets.orchestration.instance import launcher_for_workers, open_instance
    from clip_assets.project import load_libraries

    libraries = load_libraries()
    launcher = launcher_for_workers()
    with open_instance() as instance:
        for settings in libraries:
            check_same_precision(instance, settings)
    launcher.serve()
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from clip_assets.orchestration.instance import keys_at, open_instance, register
    from clip_assets.orchestration.library_names import LibraryNames
    from clip_assets.project import load_settings

    settings = load_settings(arguments.library)
    with open_instance() as instance:
        keys = [key for path in arguments.paths for key in keys_at(settings.source, path)]
        register(instance, LibraryNames.of(settings), settings.source, keys)
    for key in keys:
        sys.stdout.write(f"{key}\n")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from clip_assets.cli.show import as_page, as_text, failures_of
    from clip_assets.core.store import Store
    from clip_assets.project import load_settings
    from clip_assets.results.sections import sections

    settings = load_settings(arguments.library)
    parts = sections(Store(settings.output), arguments.key, partial(failures_of, settings, arguments.key))
    if arguments.html:
        arguments.html.write_text(as_page(arguments.key, parts), encoding="utf-8")
        sys.stdout.write(f"{arguments.html}\n")
        return 0
    console = Console()
    for part in as_text(arguments.key, parts):
        console.print(part, soft_wrap=True)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from clip_assets.cli.demo import run_demo

    for line in run_demo():
        sys.stdout.write(f"{line}\n")
    return 0
