"""A video file opened with PyAV: the video stream that a player shows, and the frames that come out of the decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import VideoTimeoutError, VideoUnreadableError
from clip_assets.core.library.regular_files import check_is_file
from clip_assets.core.video.clock import Clock
from clip_assets.core.video.sniff import why_no_video

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Demuxers of the file types that the library registers, by which a file's content is told, whatever its name. Playlists
# and scripts, which open other files, aren't among them, and neither are pictures and subtitles, as which FFmpeg would
# read many a file that is no video. The last line's are streams without a container.
DEMUXERS = (
    "mov,mp4,matroska,webm,avi,mpeg,mpegts,asf,flv,ogg,gif,mxf,dv,nut,rm,yuv4mpegpipe,ivf,mpegvideo,m4v,h264,hevc,obu"
)


# A format's flag (AVFMT_NOTIMESTAMPS, libavformat/avformat.h).
NO_TIME_STAMPS = 0x0080


# What ffmpeg adds to the pixels of a stream that its container marks as default (`fftools/ffmpeg_mux_init.c`,
# `map_auto_video`).
DEFAULT_STREAM_SCORE = 5_000_000


@contextmanager
def open_video(
    path: Path, timeout_seconds: float, stream_index: int | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and give it with one of its video streams.

    Args:
        path: The file.
        timeout_seconds: The longest that opening, or one read, may take.
        stream_index: Which of the file's streams; None: the one that a player shows.

    Raises:
        VideoUnreadableError: There is no file, or something else than one; it is no video, or has no video stream that
            can be decoded.
        VideoTimeoutError: Opening took longer.
    """
    with _opened(path, timeout_seconds) as container:
        streams = [stream for stream in video_streams(container) if _can_be_decoded(stream)]
        if not streams:
            lack = "FFmpeg has no decoder for its video" if video_streams(container) else "the file has no video stream"
            raise VideoUnreadableError(f"{path}: {lack}")
        if stream_index is None:
            stream_index = streams[0].index if len(streams) == 1 else _shown_stream(path, timeout_seconds)
        yield container, next(stream for stream in streams if stream.index == stream_index)


@contextmanager
def _opened(path: Path, timeout_seconds: float) -> Iterator[InputContainer]:
    import av

    check_is_file(path)
    try:
        container = av.open(
            f"file:{path}",  # without "file:" a name such as "a:b.mp4" would be taken for a protocol
            mode="r",
            container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "file", "fflags": "-genpts"},
            metadata_errors="replace",
            timeout=timeout_seconds,
        )
    except av.error.ExitError as error:
        raise VideoTimeoutError(f"{path}: opening took more than {timeout_seconds:g} s") from error
    except av.FFmpegError as error:
        reason = why_no_video(path) or f"FFmpeg can't read this as a video: {error.strerror}"
        raise VideoUnreadableError(f"{path}: {reason}") from error
    with container:
        yield container


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The container's video streams; cover pictures and other attached ones don't count."""
    from av.stream import Disposition

    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _can_be_decoded(stream: VideoStream) -> bool:
    return stream.codec_context is not None and stream.time_base is not None


def _shown_stream(path: Path, timeout_seconds: float) -> int:
    """Index of the stream that ffmpeg takes of several, those of a single picture left out: they are previews.

    The file is read by itself for that, until the stream with the highest score shows a second packet: at once, unless
    it is a preview.
    """
    with _opened(path, timeout_seconds) as container:
        ranked = sorted(filter(_can_be_decoded, video_streams(container)), key=_score, reverse=True)
        counts = _packet_counts(container, ranked)
        return max(ranked, key=lambda stream: min(counts[stream.index], 2)).index


def _packet_counts(container: InputContainer, streams: Sequence[VideoStream]) -> Counter[int]:
    """Packets by index of the stream, as far as the file was read: to the second one of the first of the streams."""
    import av

    counts = Counter[int]()
    with suppress(av.FFmpegError):  # where reading breaks off, what was seen has to do
        for packet in packets_of(container, *streams):
            counts[packet.stream_index] += 1
            if counts[streams[0].index] > 1:
                break
    return counts


def _score(stream: VideoStream) -> int:
    from av.stream import Disposition

    return stream.width * stream.height + DEFAULT_STREAM_SCORE * bool(stream.disposition & Disposition.default)


def packets_of(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Packets from where the container stands to its end, without those that only flush the decoder.

    Raises:
        VideoTimeoutError: A read took longer than the container was opened with.
        av.FFmpegError: Reading broke off.
    """
    import av

    try:
        for packet in container.demux(*streams):
            if packet.size:
                yield packet
    except av.error.ExitError as error:
        raise VideoTimeoutError(f"{container.name}: a read took longer than {container.read_timeout} s") from error
    except IndexError:
        return  # PyAV ends this way where a stream appeared that wasn't there when the file was opened


def decoded_frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame | None]:
    """Frames of a container that was just opened, in the decoder's order, on one time line; None for each error.

    Raises:
        VideoTimeoutError: A read took longer than the container was opened with.
    """
    import av

    try:
        clock = Clock(container, stream)
        for packet in packets_of(container):
            clock.set_right(packet)
            if packet.stream_index == stream.index:
                yield from decode_packet(stream, packet)
    except av.FFmpegError:
        yield None
    yield from decode_packet(stream, None)


def decode_packet(stream: VideoStream, packet: Packet[Any] | None) -> list[VideoFrame] | list[None]:
    """Give the decoder a packet, or None for its end, and take the frames that come out; None for an error."""
    import av

    try:
        return stream.decode(packet)
    except av.FFmpegError:
        return [None]
