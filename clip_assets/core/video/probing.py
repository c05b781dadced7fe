"""What a container says of its video: exact times by demuxing, or by decoding where packets lack them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.records import VideoProbe
from clip_assets.core.video.clock import CLOCK_MAY_JUMP
from clip_assets.core.video.container import NO_TIME_STAMPS, decoded_frames, open_video, video_streams
from clip_assets.core.video.damage import container_verdict
from clip_assets.core.video.demux import NO_TIME, Demuxed, demux
from clip_assets.core.video.header import read_header
from clip_assets.core.video.rgb import Upright, clockwise_rotation, colour_matrix
from clip_assets.core.video.sniff import is_scrambled
from clip_assets.core.video.ticks import ascending, divided
from clip_assets.core.video.tone import CURVE, hdr_transfer

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

# An average rate further from the one that the times show belongs to a stream of variable rate, or is made up.
RATE_TOLERANCE = 0.02

# Pixels that are said to be longer than this in one direction are a mistake: the longest in use are 32:11.
LONGEST_PIXEL = 16

# Its pictures are in a colour space (IPT) that only a Dolby Vision display converts; other profiles have a base layer
# of HDR10, HLG or SDR.
DOLBY_COLOURS_PROFILE = 5

_NONE = np.zeros(0, dtype=np.int64)


def probe_video(path: Path, timeout_seconds: float) -> VideoProbe:
    """Read a container's exact times by demuxing, and by decoding where its packets don't tell them.

    Args:
        path: The file.
        timeout_seconds: The longest that opening, or one read, may take.

    Raises:
        VideoUnreadableError: The file is no video, has no video stream, no frame that can be decoded, is encrypted, or
            has Dolby Vision's own colours.
        VideoTimeoutError: Reading took longer than `timeout_seconds`.
    """
    with open_video(path, timeout_seconds) as (container, stream):
        seen = demux(container, stream)
        if seen.is_encrypted or (seen.first_frame is None and is_scrambled(path)):
            raise VideoUnreadableError(f"{path}: its video is encrypted; only a copy without encryption can be read")
        if seen.first_frame is None:
            raise VideoUnreadableError(f"{path}: none of its {len(seen.pts)} frames can be decoded")
        parts, failures = 1, 0
        if _packets_tell_frames(seen, stream):
            ticks, keyframes = _times_of_packets(seen)
        else:
            ticks, parts, failures = _times_by_decoding(path, timeout_seconds, stream.index)
            keyframes = _NONE
        if len(ticks) == 0:
            raise VideoUnreadableError(f"{path}: none of its frames is ever on screen")
        end = _end(stream, seen, ticks) if parts == 1 else _end_of_parts(stream, seen, ticks, parts)
        packets_end = parts * seen.ends[stream.index] if stream.index in seen.ends else end
        rotation = clockwise_rotation(seen.first_frame)
        header = read_header(stream)
        if header.dolby_vision_profile == DOLBY_COLOURS_PROFILE:
            raise VideoUnreadableError(
                f"{path}: its colours are Dolby Vision's own (profile 5), which FFmpeg can't show"
            )
        shown = Upright(header.crop)(seen.first_frame)
        time_base = Fraction(stream.time_base or 0) / parts
        verdict = container_verdict(path, container, stream, seen, len(ticks), failures)
        return VideoProbe(
            path=path,
            container=container.format.name,
            codec=stream.codec_context.name,
            width=shown.width,
            height=shown.height,
            rotation=rotation,
            pts=ticks - ticks[0],
            end_pts=end - int(ticks[0]),
            packets_end_pts=max(packets_end, int(ticks[-1]) + 1) - int(ticks[0]),
            start_pts=int(ticks[0]),
            time_base=time_base,
            fps=_average_fps(stream, len(ticks), (end - int(ticks[0])) * time_base),
            has_edit_list=seen.discarded > 0,
            keyframes=keyframes,
            damage=verdict.damage,
            end_is_known=verdict.end_is_known,
            lost_before=_behind_gaps(ticks) if verdict.loses_within else _NONE,
            stream_index=stream.index,
            sample_aspect_ratio=_pixel_aspect(stream, rotation),
            crop=header.crop,
            colours=colour_matrix(seen.first_frame),
            tone_map=_tone_map(seen.first_frame),
            video_streams=tuple(other.index for other in video_streams(container)),
            times_are_assumed=bool(container.format.flags & NO_TIME_STAMPS),
        )


def _pixel_aspect(stream: VideoStream, rotation: int) -> Fraction:
    """How many times as wide as high a pixel is shown, upright: as the container says, else as the codec does."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if not 1 / LONGEST_PIXEL <= aspect <= LONGEST_PIXEL:
        return Fraction(1)
    return aspect if rotation % 180 == 0 else 1 / aspect


def _tone_map(frame: VideoFrame) -> str:
    transfer = hdr_transfer(frame)
    return f"{transfer}, curve {CURVE}" if transfer else ""


def _packets_tell_frames(seen: Demuxed, stream: VideoStream) -> bool:
    """Whether each packet is one frame that decodes, and has a time of its own."""
    times = np.unique(np.asarray(seen.pts))
    if NO_TIME in times or len(times) < len(seen.pts) or np.any(np.diff(seen.dts) < 0):
        return False
    if seen.clock_jumps:
        return False  # time stamps repeat, and pictures beside a joint may refer to what isn't there
    if not seen.all_are_pictures or not seen.starts_with_key or stream.codec_context.name == "vp8":
        return False  # VP8 keeps hidden frames in packets of their own
    if seen.discarded == 0 and times[0] < seen.key_pts[0]:
        return False  # pictures that lead the first key frame refer to what was cut off
    fields = seen.first_frame is not None and seen.first_frame.interlaced_frame
    return not (fields and stream.container.format.name in ("mpegts", "mpeg"))  # there a packet may be half a frame


def _times_of_packets(seen: Demuxed) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ticks = np.sort(np.asarray(seen.pts, dtype=np.int64))
    return ticks, np.searchsorted(ticks, np.unique(seen.key_pts)).astype(np.int64)


def _times_by_decoding(path: Path, timeout_seconds: float, stream_index: int) -> tuple[NDArray[np.int64], int, int]:
    """Times of the frames as they come out, in how many parts of a tick, and how often decoding failed after the first.

    A frame's time is its presentation time, else its decoding time, else the end of the one before.
    """
    ticks: list[int] = []
    failures = 0
    following = 0
    with open_video(path, timeout_seconds, stream_index) as (container, stream):
        stream.thread_type = "AUTO"
        can_be_set_anew = not container.format.flags & CLOCK_MAY_JUMP
        step = round(1 / (Fraction(stream.average_rate or 25) * Fraction(stream.time_base or 1)))
        for frame in decoded_frames(container, stream):
            failures += bool(ticks) if frame is None else frame.is_corrupt
            if frame is not None:
                times = (time for time in (frame.pts, frame.dts) if time is not None)
                ticks.append(next(times, following))
                following = ticks[-1] + (frame.duration or step)
    fine, parts = divided(ticks)
    return (fine if parts > 1 else ascending(ticks, step if can_be_set_anew else None)), parts, failures


def _behind_gaps(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the frames that come twice as late after the one before as most do, and of the end."""
    steps = np.diff(ticks)
    late = np.flatnonzero(steps >= 2 * np.median(steps)) + 1 if len(steps) else _NONE
    return np.append(late, len(ticks))


def _end(stream: VideoStream, seen: Demuxed, ticks: NDArray[np.int64]) -> int:
    """Ticks at which the last frame leaves the screen: as the container says, else by the last packet, else a guess."""
    last = int(ticks[-1])
    last_end = seen.ends.get(stream.index, last)
    gap = (last - int(ticks[0])) // (len(ticks) - 1) if len(ticks) > 1 else 0
    if not seen.all_are_pictures and seen.first_frame is not None and seen.first_frame.interlaced_frame:
        return last + gap if gap else last_end  # packets are fields, whose times and durations containers tell badly
    if stream.duration is not None:
        stated = (stream.start_time or 0) + stream.duration
        if last < stated <= max(last_end, last + 2 * gap):
            return stated
    if last_end > last:
        return last_end
    return last + max(gap, 1)


def _end_of_parts(stream: VideoStream, seen: Demuxed, ticks: NDArray[np.int64], parts: int) -> int:
    """The same where ticks are divided into parts: a guess, or the last packet's end if that is a tick later."""
    last = int(ticks[-1])
    packets_end = seen.ends.get(stream.index, 0) * parts
    guess = last + max((last - int(ticks[0])) // (len(ticks) - 1), 1)
    return packets_end if packets_end > guess + parts else guess


def _average_fps(stream: VideoStream, count: int, seconds: Fraction) -> float:
    """The stream's average rate; frames by duration where its times contradict that."""
    shown = count / seconds
    stated = stream.average_rate
    if stated and abs(stated / shown - 1) <= max(RATE_TOLERANCE, 1 / count):
        return float(stated)
    return float(shown)
