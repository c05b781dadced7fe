"""``clip-assets``: the platform from a terminal. Thin: every command calls what the assets and the UI use too."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from clip_assets.core.errors import ClipAssetsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code: 0 done, 1 some of it failed, 2 wrong arguments or settings, 130 interrupted."""
    arguments = _parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    try:
        exit_code: int = arguments.run(arguments)
    except ClipAssetsError as error:
        sys.stderr.write(f"clip-assets: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("clip-assets: interrupted\n")
        return 130
    except BrokenPipeError:  # whoever reads the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return exit_code


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    if argv[:1] == ["extract"]:  # reads what follows itself: argparse has no key=value
        return argparse.Namespace(run=_extract, argv=argv[1:])
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clip-assets", description="Folders of videos become CLIP features.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add = commands.add_parser("add", help="register videos of the library as partitions")
    add.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a video, or a folder: all videos below it")
    add.set_defaults(run=_add)

    status = commands.add_parser("status", help="what is stored of each partition, and whether it is up to date")
    status.set_defaults(run=_status)

    show = commands.add_parser("show", help="what is stored of one video: source, speed, cuts, what it shows when")
    show.add_argument("key", metavar="KEY", help="the partition's key: the video's path below the library")
    show.add_argument("--html", type=Path, metavar="FILE", help="write one page with the pictures instead")
    show.set_defaults(run=_show)

    demo = commands.add_parser("demo", help="materialize the bundled clips and print what each frame shows")
    demo.set_defaults(run=_demo)

    commands.add_parser("extract", help="extract videos by video_features' arguments: no instance, no partitions")
    return parser


def _extract(arguments: argparse.Namespace) -> int:
    from clip_assets.extract.command import run

    return run(arguments.argv)


def _add(arguments: argparse.Namespace) -> int:
    from clip_assets.instance import open_instance, register
    from clip_assets.settings import Settings, load_env_file

    load_env_file()
    settings = Settings.from_environment()
    with open_instance() as instance:
        for key in register(instance, settings.videos, arguments.paths):
            sys.stdout.write(f"{key}\n")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from clip_assets.instance import failures, open_instance, registered
    from clip_assets.settings import Settings, load_env_file
    from clip_assets.status import status_report

    load_env_file()
    settings = Settings.from_environment()
    console = Console()
    with open_instance() as instance:
        for part in status_report(settings, registered(instance), failures(instance)):
            console.print(part, soft_wrap=True)
    return 0


def _show(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from clip_assets.core.store import Store
    from clip_assets.settings import Settings, load_env_file
    from clip_assets.show import as_page, as_text, sections

    load_env_file()
    parts = sections(Store(Settings.from_environment().output), arguments.key)
    if arguments.html:
        arguments.html.write_text(as_page(arguments.key, parts), encoding="utf-8")
        sys.stdout.write(f"{arguments.html}\n")
        return 0
    console = Console()
    for part in as_text(arguments.key, parts):
        console.print(part, soft_wrap=True)
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from clip_assets.demo.run import run_demo

    for line in run_demo():
        sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
