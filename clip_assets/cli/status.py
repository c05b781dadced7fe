"""``clip-assets status``: the state of each video, what needs doing first, and the command that does it."""

import json
import shlex
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from clip_assets.core.library.named import Named, registered_keys
from clip_assets.core.library.source import VideoSource
from clip_assets.results.video_status import State, VideoStatus
from clip_assets.settings import LibrarySettings

if TYPE_CHECKING:
    from clip_assets.orchestration.at_work import AtWork

NAMED = 10
"""Videos of a state that are named where nobody asked for that state."""

_STYLES: Mapping[State, str] = {"failed": "bold red", "stale": "bold yellow", "missing": "bold", "gone": "bold"}
"""The states that need attention, in order, and how a terminal shows each; the word says it too."""

_MEANING: Mapping[State, str] = {
    "stale": ": what is stored isn't what the settings ask for",
    "missing": ": not computed yet",
    "gone": ": no such file in the library; forget them with clip-assets remove --gone",
}


@dataclass(frozen=True)
class Asked:
    """What is to be told.

    Attributes:
        states: The states whose videos are all named; with none, some of each are.
        under: The folder of the library that is looked at; empty for all.
        library: The library's name, if it has one.
        has_workers: Whether the instance has runs computed by workers.
    """

    states: Sequence[State] = ()
    under: str = ""
    library: str = ""
    has_workers: bool = False

    def option(self) -> str:
        """The library and the folder as options of another command."""
        return self.named() + (f" --under={shlex.quote(self.under)}" if self.under else "")

    def named(self) -> str:
        """The library as an option of another command."""
        return f" --library {self.library}" if self.library else ""


@dataclass(frozen=True)
class Line:
    """A line of the report.

    Attributes:
        text: Its words.
        indent: Columns to the left of it, also where it is folded.
        style: As rich writes it.
    """

    text: str
    indent: int = 0
    style: str = ""


@dataclass
class _Group:
    """Videos of one state for the same reason."""

    reason: str
    keys: list[str] = field(default_factory=list)


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments of ``status``."""
    for state in _STYLES:
        parser.add_argument(
            f"--{state}", dest="states", action="append_const", const=state, help=f"name all videos that are {state}"
        )
    parser.add_argument("--under", type=Named.parse, metavar="DIR", help="only videos below this folder of the library")
    parser.add_argument(
        "--workers", action="store_true", help="tell instead which runs are at work where, and when they will be done"
    )
    parser.add_argument("--json", action="store_true", help="one object a video, for programs (see docs/status.md)")
    parser.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Tell the states of the project's videos."""
    from clip_assets.core.cores import available_cores
    from clip_assets.orchestration.at_work import at_work
    from clip_assets.orchestration.instance import failures, has_workers, open_instance, registered
    from clip_assets.orchestration.library_names import LibraryNames
    from clip_assets.project import load_settings
    from clip_assets.results.states import video_states

    settings = load_settings(arguments.library)
    names = LibraryNames.of(settings)
    under = arguments.under.text if arguments.under else ""
    with open_instance() as instance:
        asked = Asked(tuple(arguments.states or ()), under, settings.name, has_workers(instance))
        if arguments.workers:
            show_workers(at_work(instance, names), as_json=arguments.json)
            return 0
        order = registered(instance, names)
        keys = registered_keys(settings.source, arguments.under, order) if arguments.under else order
        failed = failures(instance, names) if keys else {}
        console = Console()
        if arguments.json:
            for video in video_states(settings, keys, failed, processes=available_cores()):
                if not asked.states or video.state in asked.states:
                    console.file.write(f"{json.dumps(as_json(video), ensure_ascii=False)}\n")
        else:
            known = set(order)
            listing = settings.source.listing(known)
            videos = list(video_states(settings, keys, failed, listing=listing, processes=available_cores()))
            listed = [video.key for video in listing.videos]
            there = registered_keys(settings.source, arguments.under, listed) if arguments.under else listed
            show(report(settings, videos, asked, len(set(there) - known)), console)
    return 0


def show_workers(found: "AtWork", *, as_json: bool) -> None:
    """Write which runs are at work, for people or as one JSON object."""
    lines = [json.dumps(asdict(found), ensure_ascii=False)] if as_json else found.lines(time.time())
    for line in lines:
        sys.stdout.write(f"{line}\n")


def show(lines: Iterable[Line], console: Console) -> None:
    """Print lines: folded at the terminal's width with their indent; anywhere else as they are."""
    for line in lines:
        if console.is_terminal and line.text:
            console.print(Padding(Text(line.text, line.style, overflow="fold"), (0, 0, 0, line.indent), expand=False))
        else:
            console.file.write(f"{' ' * line.indent}{line.text}\n")


def as_json(video: VideoStatus) -> dict[str, Any]:
    """What ``--json`` says of a video; the page on ``status`` documents it."""
    return {
        "key": video.key,
        "state": video.state,
        "reason": video.reason,
        "is_wanted": video.is_wanted,
        "frames": video.frames,
        "model": video.model,
        "assets": {
            name: {
                "state": asset.state,
                "reason": asset.reason,
                "created": asset.created or None,
            }
            for name, asset in video.assets.items()
        },
    }


def report(settings: LibrarySettings, videos: Sequence[VideoStatus], asked: Asked, new: int) -> Iterator[Line]:
    """How many videos are in each state, which need attention and why, and what to do.

    Args:
        settings: The deployment's.
        videos: Those of the folder that is asked for.
        asked: What is to be told.
        new: Number of videos there that aren't registered.
    """
    found: dict[State, list[VideoStatus]] = {state: [] for state in (*_STYLES, "done")}
    for video in videos:
        found[video.state].append(video)
    where = f"{asked.under} in {settings.source.where()}" if asked.under else settings.source.where()
    told = ", ".join(f"{len(those):,} {state}" for state, those in found.items() if those)
    yield Line(f"{_videos(len(videos))} of {where}{f': {told}' if told else ''}")
    for state in _STYLES:
        if found[state] and (not asked.states or state in asked.states):
            yield Line("")
            yield Line(_heading(state, found[state]), style=_STYLES[state])
            yield from _named(state, _groups(settings.source, found[state]), asked)
    yield Line("")
    if new:
        yield Line(
            f"{new:,} more {'video in the library is' if new == 1 else 'videos in the library are'} not registered."
        )
    yield Line(_what_to_do(videos, asked, new), style="bold")


def _heading(state: State, videos: Sequence[VideoStatus]) -> str:
    again = sum(video.is_wanted for video in videos) if state == "failed" else 0
    mended = f"; of these {again:,} will be tried again, as something has changed since" if again else ""
    return f"{len(videos):,} {state}{_MEANING.get(state, mended)}"


def _groups(source: VideoSource, videos: Iterable[VideoStatus]) -> list[_Group]:
    """Videos with the same reason together, the largest group first."""
    groups: dict[str, _Group] = {}
    for video in videos:
        reason = video.reason and video.reason.replace(source.where(video.key), "the file")
        if video.state == "missing":
            lacking = [name for name, asset in video.assets.items() if asset.state == "missing"]
            reason = f"lacks {', '.join(lacking)}" if len(lacking) < len(video.assets) else ""
        groups.setdefault(reason, _Group(reason)).keys.append(video.key)
    return sorted(groups.values(), key=lambda group: -len(group.keys))


def _named(state: State, groups: Sequence[_Group], asked: Asked) -> Iterator[Line]:
    """The groups, with the names of their videos: all, or the first of each."""
    left = sum(len(group.keys) for group in groups)
    share = left if asked.states else max(NAMED // len(groups), 2)
    for group in groups if asked.states else groups[:NAMED]:
        shown = group.keys[:share]
        left -= len(shown)
        if len(group.keys) == 1:
            yield Line(shown[0], 2, "cyan")
            if group.reason:
                yield Line(group.reason, 4)
        else:
            yield from (
                [Line(f"{group.reason.removesuffix('.')}: {_videos(len(group.keys))}", 2)] if group.reason else []
            )
            yield from (Line(key, 4 if group.reason else 2, "cyan") for key in shown)
    if left:
        yield Line(f"and {left:,} more: clip-assets status --{state}{asked.option()}", 2)


def _what_to_do(videos: Sequence[VideoStatus], asked: Asked, new: int) -> str:
    run = f"clip-assets run{' --queue' if asked.has_workers else ''}"
    if not videos and not new:
        return f"There is no video yet. Put some into the folder, and compute them: {run}{asked.option()}"
    if wanted := new + sum(video.is_wanted for video in videos):
        return f"Bring {_videos(wanted)} up to date: {run}{asked.option()}"
    states = {video.state for video in videos}
    if "failed" in states:
        return f"Nothing has changed since they failed. Try all the same: {run} --failed{asked.option()}"
    if "gone" in states:
        return f"Forget what is gone: clip-assets remove --gone{asked.named()}"
    return "All is as the settings ask for."


def _videos(count: int) -> str:
    return f"{count:,} video{'' if count == 1 else 's'}"
