"""``clip-assets browse``: serves the pages of the project in the working directory."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from clip_assets.browse.app import Served, create_app
from clip_assets.browse.guard import LOOPBACK
from clip_assets.browse.holdings import StatesProvider, VideoState
from clip_assets.cli.dev import free_port
from clip_assets.project import load_libraries

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from clip_assets.results.video_status import VideoStatus
    from clip_assets.settings import LibrarySettings

PORT = 3001


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``browse``."""
    parser.add_argument("--port", type=int, default=PORT, help=f"the next free one if it is taken (default: {PORT})")
    parser.add_argument(
        "--host", default=LOOPBACK[0], help="address to listen on; another than this machine's own asks for a token"
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that browsers call this server by"
    )
    parser.add_argument("--dagster", metavar="URL", help="address of Dagster's UI, to link to")
    parser.add_argument("--quiet", action="store_true", help="don't say where it is")
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Serve until interrupted."""
    import uvicorn

    libraries = load_libraries(arguments.library)
    is_tracked = bool(os.environ.get("DAGSTER_HOME"))
    first, *others = (Served(one, states_of(one), workers_of(one)) if is_tracked else Served(one) for one in libraries)
    port = free_port(arguments.port)
    is_open = arguments.host not in LOOPBACK
    token = secrets.token_urlsafe(32) if is_open else None
    hosts = {*LOOPBACK, arguments.host, *arguments.allow_host}
    name = arguments.host
    if name in ("0.0.0.0", "::"):
        name = arguments.allow_host[0] if arguments.allow_host else socket.gethostname()
        hosts.add(name)
    app = create_app(
        first.settings,
        states=first.states,
        workers=first.workers,
        others=others,
        dagster=arguments.dagster,
        hosts=hosts,
        token=token,
    )
    if token or not arguments.quiet:
        shown = f"[{name}]" if ":" in name else name
        sys.stdout.write(f"Open http://{shown}:{port}/{f'?token={token}' if token else ''}\n")
        sys.stdout.flush()
    uvicorn.run(app, host=arguments.host, port=port, log_level="warning", server_header=False)
    return 0


def states_of(settings: LibrarySettings) -> StatesProvider:
    """Asks the Dagster instance that ``DAGSTER_HOME`` names, and compares what is stored with the settings."""

    def states() -> Mapping[str, VideoState]:
        from clip_assets.orchestration.instance import failures, open_instance, registered
        from clip_assets.orchestration.library_names import LibraryNames
        from clip_assets.results.states import video_states

        names = LibraryNames.of(settings)
        with open_instance() as instance:
            videos = video_states(settings, registered(instance, names), failures(instance, names))
            return {video.key: as_shown(video) for video in videos}

    return states


def workers_of(settings: LibrarySettings) -> Callable[[], Sequence[str]]:
    """Asks the same instance which runs are at work; nothing where none is and none is queued."""

    def workers() -> Sequence[str]:
        from clip_assets.orchestration.at_work import at_work
        from clip_assets.orchestration.instance import open_instance
        from clip_assets.orchestration.library_names import LibraryNames

        with open_instance() as instance:
            found = at_work(instance, LibraryNames.of(settings))
            return list(found.lines(time.time())) if found.runs or found.queued else []

    return workers


def as_shown(video: VideoStatus) -> VideoState:
    """What the pages say of a video."""
    return VideoState("waiting" if video.state == "missing" else video.state, video.reason)
