"""A video file opened with PyAV: its first video stream, and the frames that come out of the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import VideoTimeoutError, VideoUnreadableError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

REMEDY = "replace it with a whole copy of the video, or take it away"

# Demuxers of the file types that the library registers. Playlists and scripts, which open other files, aren't among
# them, and neither are pictures and subtitles, as which FFmpeg would read many a file that is no video.
DEMUXERS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,asf,flv,ogg,gif"


@contextmanager
def open_video(path: Path, timeout_seconds: float) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and give it with its first video stream; cover pictures don't count.

    Args:
        path: The file.
        timeout_seconds: The longest that opening, or one read, may take.

    Raises:
        VideoUnreadableError: There is no such file, it is no video, or has no video stream that can be decoded.
        VideoTimeoutError: Opening took longer.
    """
    import av

    if not path.is_file():
        raise VideoUnreadableError(f"{path}: there is no file of that name; give the path of a video file")
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
        raise VideoUnreadableError(f"{path}: FFmpeg can't read this as a video: {error.strerror}; {REMEDY}") from error
    with container:
        yield container, _video_stream(container, path)


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    from av.stream import Disposition

    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue
        if stream.codec_context is None or stream.time_base is None:
            raise VideoUnreadableError(f"{path}: FFmpeg has no decoder for its video stream; {REMEDY}")
        return stream
    raise VideoUnreadableError(f"{path}: the file has no video stream; {REMEDY}")


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
    """Frames from where the container stands to its end, in the decoder's order; None for each error on the way.

    Raises:
        VideoTimeoutError: A read took longer than the container was opened with.
    """
    import av

    try:
        for packet in packets_of(container, stream):
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
