"""What the packets of a container say: one pass over the file, that decodes no more than one frame."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clip_assets.core.video.clock import Clock
from clip_assets.core.video.container import packets_of
from clip_assets.core.video.nal import NalFormat
from clip_assets.core.video.pictures import IsOnePicture, one_picture_test

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

NO_TIME = -(2**63)

# Codecs without compression, of which zeros are a picture.
UNCOMPRESSED = ("rawvideo", "v210", "v308", "v408", "v410", "r10k", "r210", "yuv4", "ayuv", "y41p", "012v")


@dataclass
class Demuxed:
    """What the packets of the video stream say; times in ticks.

    Attributes:
        pts: Of each packet that isn't discarded, in decoding order; NO_TIME where the container has none.
        dts: Decoding time of every packet that has one.
        dts_jumps: For each of them, how often the clock had been set anew by then.
        key_pts: Of those marked as key frames.
        discarded: Number of packets that are decoded and never shown.
        corrupt: Number of packets marked as corrupt by the demuxer.
        broken: Number of packets whose parts reach beyond their end, or that hold nothing but zeros.
        all_are_pictures: Whether each packet is one picture, as far as that can be told without decoding.
        starts_with_key: Whether the very first packet is marked as a key frame.
        is_encrypted: Whether a key frame is marked as encrypted.
        first_frame: The first that could be decoded.
        ends: When the last packet of each stream ends, by the stream's index.
        places: Of Matroska, where each packet of any stream ends in the file, in bytes, in the order of reading.
        clock_jumps: How often the container's clock was set anew; all times are on one time line.
        error: Why reading broke off; empty when it reached the end.
    """

    pts: array[int] = field(default_factory=lambda: array("q"))
    dts: array[int] = field(default_factory=lambda: array("q"))
    dts_jumps: array[int] = field(default_factory=lambda: array("q"))
    key_pts: array[int] = field(default_factory=lambda: array("q"))
    discarded: int = 0
    corrupt: int = 0
    broken: int = 0
    all_are_pictures: bool = True
    starts_with_key: bool = False
    is_encrypted: bool = False
    first_frame: VideoFrame | None = None
    ends: dict[int, int] = field(default_factory=dict)
    places: array[int] = field(default_factory=lambda: array("q"))
    clock_jumps: int = 0
    error: str = ""


def demux(container: InputContainer, stream: VideoStream) -> Demuxed:
    """Read every packet of a container that was just opened, decoding no further than the first frame.

    Args:
        container: The file; read to its end, or to where it breaks off.
        stream: Its video stream.
    """
    import av

    stream.codec_context.thread_count = 1  # so that the first frame doesn't wait for those of other threads
    nal = NalFormat.of(stream.codec_context)
    is_matroska = container.format.name == "matroska,webm"
    is_picture = one_picture_test(stream.codec_context)
    seen = Demuxed(is_encrypted="enc_key_id" in stream.metadata)  # so FFmpeg tells of Matroska's ContentEncryption
    clock = Clock(container, stream)
    try:
        for packet in packets_of(container):
            clock.set_right(packet)
            seen.clock_jumps = clock.jumps
            _note_end(seen, packet)
            if is_matroska and packet.pos is not None:
                seen.places.append(packet.pos + packet.size)
            if packet.stream is stream:
                _note(seen, packet, nal, is_picture)
    except av.FFmpegError as error:
        seen.error = error.strerror or str(error)
    if seen.first_frame is None:
        _decode_first(seen, stream, None)
    return seen


def _note_end(seen: Demuxed, packet: Packet[Any]) -> None:
    time = packet.pts if packet.pts is not None else packet.dts
    if time is not None:
        end = time + (packet.duration or 0)
        seen.ends[packet.stream_index] = max(seen.ends.get(packet.stream_index, end), end)


def _note(seen: Demuxed, packet: Packet[VideoStream], nal: NalFormat, is_picture: IsOnePicture | None) -> None:
    if seen.first_frame is None:
        _decode_first(seen, packet.stream, packet)
    if not seen.pts and not seen.discarded:
        seen.starts_with_key = packet.is_keyframe
    if packet.dts is not None:
        seen.dts.append(packet.dts)
        seen.dts_jumps.append(seen.clock_jumps)
    if packet.is_discard:
        seen.discarded += 1
        return
    whole = nal.is_whole(packet) and not (_is_blank(packet) and nal.codec not in UNCOMPRESSED)
    seen.broken += not whole
    if whole and is_picture and seen.all_are_pictures:
        seen.all_are_pictures = is_picture(packet)
    seen.pts.append(NO_TIME if packet.pts is None else packet.pts)
    seen.corrupt += packet.is_corrupt
    if packet.is_keyframe:
        seen.is_encrypted = seen.is_encrypted or packet.has_sidedata("encryption_info")  # slow
        if packet.pts is not None:
            seen.key_pts.append(packet.pts)


def _decode_first(seen: Demuxed, stream: VideoStream, packet: Packet[VideoStream] | None) -> None:
    import av

    try:
        seen.first_frame = next(iter(stream.decode(packet)), None)
    except av.FFmpegError:
        return


def _is_blank(packet: Packet[Any]) -> bool:
    """Whether a packet of some length is nothing but zeros, as where a file was never written."""
    data = memoryview(packet)
    return len(data) >= 8 and not any(data[:8]) and not any(data)
