"""``clip-assets``: the platform from a terminal. Thin: every command calls what the assets and the UI use too."""

import argparse
import sys
from collections.abc import Sequence

from clip_assets.core.errors import ClipAssetsError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code: 0 done, 1 some of it failed, 2 wrong arguments or settings."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except ClipAssetsError as error:
        sys.stderr.write(f"clip-assets: {error}\n")
        return 2
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clip-assets", description="Folders of videos become CLIP features.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add = commands.add_parser("add", help="register videos of the library as partitions")
    add.add_argument("paths", nargs="+", metavar="PATH", help="a video, or a folder: all videos in and below it")
    add.set_defaults(run=_add)

    status = commands.add_parser("status", help="what is stored of each partition, and whether it is up to date")
    status.set_defaults(run=_status)

    demo = commands.add_parser("demo", help="materialize the bundled clips and print what each frame shows")
    demo.set_defaults(run=_demo)
    return parser


def _add(arguments: argparse.Namespace) -> int:
    from clip_assets.instance import register

    for key in register(arguments.paths):
        sys.stdout.write(f"{key}\n")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from clip_assets.instance import print_status

    return print_status()


def _demo(arguments: argparse.Namespace) -> int:
    from clip_assets.demo.run import run_demo

    return run_demo()


if __name__ == "__main__":
    sys.exit(main())
