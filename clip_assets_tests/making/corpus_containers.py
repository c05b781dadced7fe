"""Small videos that are whole though their containers are odd, and the means to lose parts of others."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from clip_assets_tests.making import corpus
from clip_assets_tests.making.corpus import MJPEG, RATE, X264, Clip, Recipe

TS_PACKET = 188
MPEG4 = Recipe(codec="mpeg4", options={"g": "12", "bf": "0", "q": "3", "flags": "+qscale"})
LIVE_MATROSKA = {"live": "1", "cluster_time_limit": "200"}

Edit = Callable[[bytes], bytes]


def edited(clip: Clip, edit: Edit) -> Clip:
    """A clip whose file was changed; the clip tells of the whole one."""
    clip.path.write_bytes(edit(clip.path.read_bytes()))
    return clip


def remuxed(clip: Clip, path: Path, change: Callable[[int, bytes], bytes], **options: str) -> Clip:
    """The clip's packets in another file, each changed by its number."""
    with av.open(str(clip.path)) as source, av.open(str(path), "w", container_options=options) as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                copy = av.Packet(change(number, bytes(packet)))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.duration, copy.is_keyframe, copy.stream = packet.duration, packet.is_keyframe, stream
                output.mux(copy)
    return replace(clip, path=path)


def without(clip: Clip, *numbers: int) -> Clip:
    """The clip without these frames: the ones before them stay."""
    kept = [number for number in range(len(clip.numbers)) if number not in numbers]
    shown = replace(clip, numbers=[clip.numbers[k] for k in kept], times=[clip.times[k] for k in kept])
    return replace(shown, fps=len(kept) / clip.end)


def empty_chunks(path: Path, recipe: Recipe) -> Clip:
    """AVI in which a frame that stays longer is followed by chunks without content."""
    ticks = [k + k // 3 for k in range(24)]
    clip = corpus.write(path, replace(recipe, ticks=ticks, time_base=1 / RATE))
    return replace(clip, fps=24 / clip.end)


def mpeg4_empty_chunks(path: Path) -> Clip:
    """MPEG-4 in AVI, as phones' videos are converted into it."""
    return empty_chunks(path, MPEG4)


def mjpeg_empty_chunks(path: Path) -> Clip:
    """JPEGs in AVI, as cameras write them that miss a frame."""
    return empty_chunks(path, MJPEG)


def not_coded(path: Path, numbers: tuple[int, ...] = (4, 9, 10)) -> Clip:
    """MPEG-4 in which some pictures say no more than that the one before stays."""
    source = corpus.write(path.with_name(f"coded {path.stem}.mp4"), MPEG4)
    return without(
        remuxed(source, path, lambda number, data: _not_coded(data) if number in numbers else data), *numbers
    )


def _not_coded(vop: bytes) -> bytes:
    """The head of an MPEG-4 picture with one bit set: that nothing follows (ISO/IEC 14496-2, 6.2.5)."""
    start = vop.index(b"\0\0\1\xb6") + 4
    bits = "".join(f"{byte:08b}" for byte in vop[start : start + 8])
    time_bits = (int(RATE) - 1).bit_length()
    head = "01" + bits[2 : bits.index("0", 2) + 1 + 1 + time_bits + 1] + "0"
    head += "0" + "1" * (-len(head) - 1 & 7)
    return vop[:start] + int(head, 2).to_bytes(len(head) // 8, "big")


def start_codes(path: Path) -> Clip:
    """H.264 in mp4 with start codes in place of the units' lengths."""
    clip = corpus.constant_rate(path)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as source:
        packets = [(packet.pos, packet.pos + packet.size) for packet in source.demux(video=0) if packet.size]
    for place, end in packets:
        while place < end:
            length = int.from_bytes(data[place : place + 4], "big")
            data[place : place + 4] = b"\0\0\0\1"
            place += 4 + length
    path.write_bytes(data)
    return clip


def longer_header(path: Path) -> Clip:
    """A mkv or flv whose header says that it lasts twice as long as it does."""
    mark = {".mkv": b"\x44\x89\x88", ".flv": b"duration\0"}[path.suffix]

    def double(data: bytes) -> bytes:
        place = data.index(mark) + len(mark)
        (duration,) = struct.unpack(">d", data[place : place + 8])
        return data[:place] + struct.pack(">d", 2 * duration) + data[place + 8 :]

    return edited(corpus.constant_rate(path), double)


def longer_count(path: Path) -> Clip:
    """An AVI whose header counts more frames than were written."""

    def more(data: bytes) -> bytes:
        place = data.index(b"strh") + 8 + 32
        return data[:place] + struct.pack("<I", 44) + data[place + 4 :]

    return edited(corpus.mpeg4(path), more)


def begun_within_a_packet(path: Path) -> Clip:
    """A transport stream that starts with the rest of a packet."""
    return edited(corpus.constant_rate(path), lambda data: data[-101:] + data)


def live_matroska(path: Path, keep: float = 1) -> Clip:
    """A mkv as it is recorded from a live stream, without sizes, cut before one of its clusters."""
    clip = corpus.write(path, Recipe(options=X264, container_options=LIVE_MATROSKA))
    data = path.read_bytes()
    cluster = b"\x1f\x43\xb6\x75"
    places = [place for place in range(len(data)) if data.startswith(cluster, place)]
    if keep < 1:
        path.write_bytes(data[: places[int(len(places) * keep)]])
    return clip


def with_sound(path: Path) -> Clip:
    """Video with sound beside it."""
    recipe = Recipe(options=X264)
    with av.open(str(path), "w") as output:
        sound = output.add_stream("mp2", rate=48000)
        _, packets = corpus.encode(recipe, output)
        for number, packet in enumerate(packets):
            output.mux(packet)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1920, 1 / RATE / 1920
            output.mux(sound.encode(frame))
    return corpus.told(path, recipe)


def ts_packets(data: bytes) -> np.ndarray:
    """uint8 (P, 188)."""
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, TS_PACKET)


def without_ts_packets(data: bytes, pid: int, *, first: int, count: int = 1) -> bytes:
    """A transport stream that lost some packets of one of its streams."""
    packets = ts_packets(data)
    pids = (packets[:, 1].astype(int) & 0x1F) << 8 | packets[:, 2]
    return np.delete(packets, np.flatnonzero(pids == pid)[first : first + count], axis=0).tobytes()
