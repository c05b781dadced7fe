"""Clocks that are set anew in mid-file, as where recordings were joined: one time line is made of their time stamps.

The rules are those of ffmpeg's command (fftools/ffmpeg_demux.c: `ts_discontinuity_process`, `ts_discontinuity_detect`,
`ist_dts_update`) with its defaults, so that a frame's time is the one that ffmpeg's filters see. Decoding times are
compared with what the stream's last packet led to expect. In formats whose clock may jump (MPEG transport and program
streams, Ogg) a jump by more than 10 s, or by more than 0.1 s back, is taken out for all streams; a smaller gap stays.
In other formats a time stamp that is off by more than 30 hours is a mistake, and doesn't count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

# A format's flag (AVFMT_TS_DISCONT, libavformat/avformat.h).
CLOCK_MAY_JUMP = 0x0200

# Microseconds, in which ffmpeg compares: its options -dts_delta_threshold and -dts_error_threshold, and what it allows
# a stream to step back.
SECOND = 1_000_000
JUMP = 10 * SECOND
STEP_BACK = SECOND // 10
MISTAKE = 30 * 3600 * SECOND


class Clock:
    """Puts the packets of a container, from its first one on, on one time line.

    Args:
        container: The file.
        video: Its video stream; jumps are told by its packets, and by those of the sound that goes with it.

    Attributes:
        jumps: How often the clock jumped by now.
    """

    def __init__(self, container: InputContainer, video: VideoStream) -> None:
        self.jumps = 0
        self._may_jump = bool(container.format.flags & CLOCK_MAY_JUMP)
        sound = container.streams.best("audio", related=video) if self._may_jump else None
        judged = [stream for stream in (video, sound) if stream is not None]
        self._scales = {stream.index: _scale(stream) for stream in container.streams}
        self._sound_steps = {stream.index: _microseconds_of_frame(stream) for stream in judged}
        limit = JUMP if self._may_jump else MISTAKE
        self._harmless = {stream.index: self._ticks(stream.index, limit) // 2 for stream in judged}
        self._before: dict[int, tuple[int, int]] = {}
        self._last: tuple[int, int] | None = None
        self._offset = 0

    def set_right(self, packet: Packet[Any]) -> None:
        """Change the packet's time stamps to those on the one time line."""
        index = packet.stream_index
        if self._offset and index in self._scales:
            self._shift(packet, self._offset)
        harmless = self._harmless.get(index)
        if harmless is None:
            return
        dts, before = packet.dts, self._before.get(index)
        if dts is not None and (before is None or not (0 <= dts - before[0] <= harmless >= before[1])):
            dts = self._judge(packet, dts)
        if dts is None:
            dts = before[0] + before[1] if before else packet.pts
        if dts is not None:
            self._before[index] = dts, packet.duration or 0
            self._last = index, dts

    def _judge(self, packet: Packet[Any], dts: int) -> int | None:
        """Look closer at a packet; its decoding time on the one time line, None if it doesn't count."""
        index = packet.stream_index
        before, now = self._before.get(index), self._microseconds(index, dts)
        if before is not None:
            step = self._sound_steps[index] or self._microseconds(index, before[1])
            expected = self._microseconds(index, before[0]) + step
        elif self._may_jump and self._last is not None:
            expected = self._microseconds(*self._last)
        else:
            return dts
        if not self._may_jump:
            self._drop_mistakes(packet, expected)
        elif abs(now - expected) > JUMP or (before and now + STEP_BACK < self._microseconds(index, before[0])):
            self._offset -= now - expected
            self._shift(packet, expected - now)
            self.jumps += 1
        return packet.dts

    def _drop_mistakes(self, packet: Packet[Any], expected: int) -> None:
        if packet.dts is not None and abs(self._microseconds(packet.stream_index, packet.dts) - expected) > MISTAKE:
            packet.dts = None
        if packet.pts is not None and abs(self._microseconds(packet.stream_index, packet.pts) - expected) > MISTAKE:
            packet.pts = None

    def _shift(self, packet: Packet[Any], microseconds: int) -> None:
        ticks = self._ticks(packet.stream_index, microseconds)
        if packet.dts is not None:
            packet.dts += ticks
        if packet.pts is not None:
            packet.pts += ticks

    def _ticks(self, index: int, microseconds: int) -> int:
        numerator, denominator = self._scales[index]
        return (2 * microseconds * denominator + numerator) // (2 * numerator)

    def _microseconds(self, index: int, ticks: int) -> int:
        numerator, denominator = self._scales[index]
        return (2 * ticks * numerator + denominator) // (2 * denominator)


def _scale(stream: Any) -> tuple[int, int]:
    """Microseconds of a tick, as numerator and denominator."""
    return (stream.time_base * SECOND).as_integer_ratio() if stream.time_base else (1, 1)


def _microseconds_of_frame(stream: Any) -> int:
    """How long a packet of sound lasts; 0 where the packet's own duration counts."""
    codec = stream.codec_context
    if stream.type != "audio" or codec is None or not codec.sample_rate:
        return 0
    return int(SECOND * codec.frame_size // codec.sample_rate)
