"""The verdict on a video: what is damaged of it, by all that is known without decoding it anew.

Evidence is what the container's structure says (`containers/`), what its index promises, packets that are broken,
and errors that a decoder made. A count or a duration in a header is evidence too, but only where the container's own
end wasn't found: muxers count what never was, and leave them when a file is edited.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.video.containers.account import Account
from clip_assets.core.video.containers.asf import asf_account
from clip_assets.core.video.containers.avi import avi_account
from clip_assets.core.video.containers.flv import flv_account
from clip_assets.core.video.containers.gif import gif_account
from clip_assets.core.video.containers.matroska import matroska_account
from clip_assets.core.video.containers.mp4 import mp4_account
from clip_assets.core.video.containers.mpeg_ps import ps_account
from clip_assets.core.video.containers.mpeg_ts import ts_account
from clip_assets.core.video.containers.ogg import ogg_account

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from clip_assets.core.video.demux import Demuxed

# Containers whose header states how long the whole file is.
HEADER_STATES_DURATION = ("matroska,webm", "flv", "asf")

# Packets may end that much before the stated duration: muxers round, and count silence at the end of the sound.
DURATION_TOLERANCE_SECONDS = 0.5

# From there on a step of the clock is taken for a new start of it, as by ffmpeg (`-dts_delta_threshold`).
CLOCK_JUMP_SECONDS = 10


@dataclass(frozen=True)
class Verdict:
    """What is known of a video's wholeness.

    Attributes:
        damage: What is missing or broken; empty if nothing is.
        end_is_known: Whether the container tells where it ends. Where it doesn't, a file that was cut between two
            packets looks whole.
        loses_within: Whether frames may be lost before others that are there.
    """

    damage: str
    end_is_known: bool
    loses_within: bool


def container_verdict(
    path: Path, container: InputContainer, stream: VideoStream, seen: Demuxed, frame_count: int, failures: int
) -> Verdict:
    """What is missing or broken, and whether the container would tell if its end were.

    Args:
        path: The file.
        container: The file, read to its end.
        stream: Its video stream.
        seen: What reading it showed.
        frame_count: Number of frames that were found.
        failures: Errors of the decoder and frames that it marked as corrupt, where everything was decoded.
    """
    name = container.format.name
    account = _account(path, name, stream, seen)
    stated = (container.duration or 0) / 1_000_000 if name in HEADER_STATES_DURATION else 0
    lost_chunks = _missing_chunks(container, stream, seen, account)
    lost_numbers = _missing_by_numbers(stream, seen, account)
    damages = (
        _missing_by_index(container, stream),
        lost_chunks,
        _missing_by_duration(container, stated, seen, account, frame_count),
        lost_numbers,
        account.damage,
        _broken(seen, name, frame_count, failures),
    )
    return Verdict(
        damage=next(filter(None, damages), ""),
        end_is_known=account.ends or (stated > 0 and account.states_length),
        loses_within=bool(lost_chunks or lost_numbers or account.within),
    )


def _account(path: Path, name: str, stream: VideoStream, seen: Demuxed) -> Account:
    with path.open("rb") as file:
        size = path.stat().st_size
        if name == "matroska,webm":
            return matroska_account(file, size, seen.places)
        if name == "mpegts":
            return ts_account(file, size, stream.id)
        if name == "mpeg":
            return ps_account(file, size, stream.id & 0xFF)
        accounts = {"avi": avi_account, "asf": asf_account, "flv": flv_account, "ogg": ogg_account, "gif": gif_account}
        accounts["mov,mp4,m4a,3gp,3g2,mj2"] = mp4_account
        return accounts[name](file, size) if name in accounts else Account()


def _missing_by_index(container: InputContainer, stream: VideoStream) -> str:
    """What an index names beyond the end of the file."""
    if container.format.name in HEADER_STATES_DURATION:
        return ""
    size = container.size
    promised = [entry for entry in stream.index_entries if not entry.is_discard]
    held = sum(entry.pos + entry.size <= size for entry in promised)
    if held < len(promised):
        return f"the file ends early: it holds {held} of the {len(promised)} frames that its index promises"
    return ""


def _missing_chunks(container: InputContainer, stream: VideoStream, seen: Demuxed, account: Account) -> str:
    """What the index of an AVI names, or its header counts where it has none, and can't be read."""
    if container.format.name != "avi":
        return ""
    counted = 0 if account.ends or not account.states_length else stream.frames
    promised = max(counted, len(stream.index_entries))
    held = len(seen.pts) + seen.discarded
    return f"frames are missing: it holds {held} of the {promised} that its header promises" if held < promised else ""


def _missing_by_duration(
    container: InputContainer, stated: float, seen: Demuxed, account: Account, frame_count: int
) -> str:
    ends = [float(tick * (container.streams[index].time_base or 0)) for index, tick in seen.ends.items()]
    end = max(ends, default=0.0)
    if account.ends or end >= stated - DURATION_TOLERANCE_SECONDS:
        return ""
    return f"the file ends early: it holds {frame_count} frames up to {end:.2f} s of the {stated:.2f} s promised"


def _missing_by_numbers(stream: VideoStream, seen: Demuxed, account: Account) -> str:
    """What the container's numbering shows to be missing, where the times have a gap as well."""
    if not _has_gap(seen, float(stream.time_base or 0)):
        return ""
    if seen.corrupt and (account.damage or account.gap):
        return f"packets are missing: {seen.corrupt} of {len(seen.pts)} are marked as corrupt, and frames are left out"
    return account.gap


def _has_gap(seen: Demuxed, tick_seconds: float) -> bool:
    steps = np.diff(seen.dts)
    if len(steps) == 0:
        return False
    on_one_clock = (np.diff(seen.dts_jumps) == 0) & (steps * tick_seconds < CLOCK_JUMP_SECONDS)
    return bool(np.any(on_one_clock & (steps >= 2 * np.median(steps))))


def _broken(seen: Demuxed, name: str, frame_count: int, failures: int) -> str:
    """What is in the file and can't be read or decoded."""
    if seen.broken:
        whole = len(seen.pts) - seen.broken
        return f"packets are broken: at most {whole} of its {len(seen.pts)} frames can be decoded"
    if seen.error:
        return f"reading breaks off after {frame_count} frames: {seen.error}"
    if seen.corrupt and name != "mpegts":  # there it may mean no more than that a part was joined
        return f"packets are broken: {seen.corrupt} of {len(seen.pts)} are cut short"
    if failures:
        return f"decoding it fails {failures} times; {frame_count} frames came out"
    return ""
