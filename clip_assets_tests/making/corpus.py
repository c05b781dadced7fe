"""Small videos of every kind that the tests need, written with PyAV; each frame shows its own number.

Every writer returns a `Clip` that says what was written, so that tests compare with the truth and not with a reader.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (96, 64)
FRAMES = 30
RATE = Fraction(25)
COLUMNS, ROWS = 4, 2
DARK, BRIGHT = 50, 200

Picture = NDArray[np.uint8]

# Name of an orientation -> the display matrix that makes it upright, how the picture is stored, and the degrees
# clockwise that the matrix turns it by, mirrored or not.
ORIENTATIONS: dict[str, tuple[tuple[int, int, int, int], Callable[[Picture], Picture], int]] = {
    "upright": ((1, 0, 0, 1), lambda picture: picture, 0),
    "90": ((0, 1, -1, 0), lambda picture: np.rot90(picture, 1), 90),
    "180": ((-1, 0, 0, -1), lambda picture: np.rot90(picture, 2), 180),
    "270": ((0, -1, 1, 0), lambda picture: np.rot90(picture, 3), 270),
    "mirrored": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1], 180),
    "upside down": ((1, 0, 0, -1), lambda picture: picture[::-1], 0),
    "transposed": ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1), 90),
    "mirrored 270": ((0, -1, -1, 0), lambda picture: np.rot90(picture, 2).swapaxes(0, 1), 270),
}


def draw(number: int, width: int, height: int) -> Picture:
    """RGB uint8 (height, width, 3): the number's eight bits as bright and dark blocks, tinted by the number."""
    bits = (number >> np.arange(COLUMNS * ROWS)) & 1
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    grey = np.where(bits.reshape(ROWS, COLUMNS), BRIGHT, DARK)[rows][:, columns]
    tint = np.array([number * 7 % 50, 25, 50 - number * 7 % 50])
    return (grey[..., None] + tint).astype(np.uint8)


COLOURS = np.array([[[200, 40, 40], [40, 180, 60], [40, 60, 200], [220, 200, 40]]], dtype=np.uint8)


def draw_colours(_: int, width: int, height: int) -> Picture:
    """RGB uint8 (height, width, 3): `COLOURS` as columns."""
    columns = np.arange(width) * COLOURS.shape[1] // width
    return np.ascontiguousarray(np.broadcast_to(COLOURS[:, columns], (height, width, 3)))


def read_number(rgb: Picture) -> int:
    """The number that a picture made by `draw` shows."""
    height, width, _ = rgb.shape
    rows = (2 * np.arange(ROWS) + 1) * height // (2 * ROWS)
    columns = (2 * np.arange(COLUMNS) + 1) * width // (2 * COLUMNS)
    margin = 3
    levels = [
        rgb[row - margin : row + margin, column - margin : column + margin].mean() for row in rows for column in columns
    ]
    return int(sum(1 << i for i, level in enumerate(levels) if level > (DARK + BRIGHT) / 2 + 25))


@dataclass(frozen=True)
class Clip:
    """What was written into a file.

    Attributes:
        path: The file.
        numbers: The number each frame on screen shows, in presentation order.
        times: Seconds, exact, when each of them comes on screen, the first at 0.
        end: Seconds, exact, when the last one leaves the screen.
        fps: Average rate.
        width: Pixels, upright.
        height: Pixels, upright.
        rotation: Degrees clockwise by which a player turns the stored picture.
    """

    path: Path
    numbers: list[int]
    times: list[Fraction]
    end: Fraction
    fps: Fraction
    width: int
    height: int
    rotation: int = 0


@dataclass(frozen=True)
class Recipe:
    """How to write a clip; the defaults give a plain H.264 file of constant rate.

    Attributes:
        codec: Encoder's name.
        options: Encoder's options.
        pix_fmt: Pixel format.
        size: (width, height), upright.
        rate: Frames per second.
        ticks: Presentation times in ticks of `time_base`; None means constant rate from 0.
        time_base: Seconds of one tick; None means 1 / rate.
        frames: Number of frames.
        first_number: What the first frame shows.
        orientation: How the picture is stored, one of `ORIENTATIONS` (mp4 only).
        colorspace: Matrix that the stream is tagged with, as FFmpeg numbers it; 2 means unspecified.
        full_range: Whether the stream is stored and tagged as full range.
        draw: What the frames show, by number, width and height.
        container_options: The muxer's options.
        title: The file's title.
    """

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    size: tuple[int, int] = SIZE
    rate: Fraction = RATE
    ticks: list[int] | None = None
    time_base: Fraction | None = None
    frames: int = FRAMES
    first_number: int = 0
    orientation: str = "upright"
    colorspace: int = 2
    full_range: bool = False
    draw: Callable[[int, int, int], Picture] = draw
    container_options: dict[str, str] = field(default_factory=dict)
    title: str = ""


X264 = {"preset": "ultrafast", "g": "8", "bf": "0", "threads": "1"}
X264_B_FRAMES = {
    "preset": "veryfast",
    "x264-params": "keyint=8:min-keyint=8:scenecut=0:bframes=2:b-adapt=0:b-pyramid=none:threads=1",
}


def _stored(number: int, recipe: Recipe) -> Picture:
    _, store, _ = ORIENTATIONS[recipe.orientation]
    return np.ascontiguousarray(store(recipe.draw(number, *recipe.size)))


def encode(recipe: Recipe, output: av.container.OutputContainer) -> tuple[av.VideoStream, list[av.Packet]]:
    """A stream added to the output as the recipe says, and its packets."""
    stream = output.add_stream(recipe.codec, rate=recipe.rate, options=dict(recipe.options))
    turned = ORIENTATIONS[recipe.orientation][2] % 180 == 90
    stream.width, stream.height = recipe.size[::-1] if turned else recipe.size
    stream.pix_fmt = recipe.pix_fmt
    if recipe.colorspace != 2:
        stream.codec_context.colorspace = recipe.colorspace
    stream.codec_context.color_range = 2 if recipe.full_range else 1
    time_base = recipe.time_base or 1 / recipe.rate
    stream.codec_context.time_base = time_base
    ticks = recipe.ticks or list(range(recipe.frames))
    packets: list[av.Packet] = []
    for number, tick in enumerate(ticks, recipe.first_number):
        frame = av.VideoFrame.from_ndarray(_stored(number, recipe), format="rgb24").reformat(
            format=recipe.pix_fmt,
            dst_colorspace=recipe.colorspace if recipe.colorspace != 2 else None,
            dst_color_range=2 if recipe.full_range else 1,
        )
        frame.pts, frame.time_base = tick, time_base
        packets += stream.encode(frame)
    return stream, packets + stream.encode(None)


def told(path: Path, recipe: Recipe) -> Clip:
    """What a file that was written as the recipe says holds."""
    time_base = recipe.time_base or 1 / recipe.rate
    ticks = recipe.ticks or list(range(recipe.frames))
    times = [(tick - ticks[0]) * time_base for tick in ticks]
    step = 1 / recipe.rate
    return Clip(
        path,
        numbers=list(range(recipe.first_number, recipe.first_number + len(ticks))),
        times=times,
        end=times[-1] + step,
        fps=recipe.rate,
        width=recipe.size[0],
        height=recipe.size[1],
        rotation=ORIENTATIONS[recipe.orientation][2],
    )


def write(path: Path, recipe: Recipe | None = None) -> Clip:
    """Write one clip as the recipe says; the container is chosen by the path's suffix."""
    recipe = recipe or Recipe(options=X264)
    with av.open(str(path), "w", container_options=recipe.container_options) as output:
        output.metadata.update({"title": recipe.title} if recipe.title else {})
        _, packets = encode(recipe, output)
        output.mux(packets)
    if recipe.orientation != "upright":
        patch_matrix(path, ORIENTATIONS[recipe.orientation][0])
    return told(path, recipe)


def patch_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Give an mp4 file this display matrix."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 0x10000 for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)


def constant_rate(path: Path) -> Clip:
    """25 frames per second, closed GOPs of 8, no B-frames."""
    return write(path)


def ntsc_rate(path: Path) -> Clip:
    """30000/1001 frames per second."""
    return write(path, Recipe(options=X264, rate=Fraction(30000, 1001)))


def variable_rate(path: Path) -> Clip:
    """Frames that stay on screen for 1 to 7 ticks of 1/50 s."""
    ticks = np.cumsum([0] + [1 + (k * k) % 7 for k in range(FRAMES - 1)]).tolist()
    recipe = Recipe(options=X264, ticks=ticks, time_base=Fraction(1, 50))
    clip = write(path, recipe)
    return replace(clip, fps=FRAMES / clip.end)


def b_frames(path: Path) -> Clip:
    """Two B-frames between references, closed GOPs of 8."""
    return write(path, Recipe(options=X264_B_FRAMES))


def open_gop(path: Path) -> Clip:
    """B-frames that lead a key frame and refer to the GOP before it."""
    params = X264_B_FRAMES["x264-params"] + ":open-gop=1"
    return write(path, Recipe(options={**X264_B_FRAMES, "x264-params": params}))


def intra_refresh(path: Path) -> Clip:
    """Recovery points in place of key frames: no picture after the first is whole by itself."""
    params = "keyint=8:scenecut=0:bframes=0:intra-refresh=1:threads=1"
    return write(path, Recipe(options={"preset": "veryfast", "x264-params": params}))


def nonzero_start(path: Path) -> Clip:
    """The first frame comes at 2 s."""
    return write(path, Recipe(options=X264, ticks=list(range(50, 50 + FRAMES))))


def turned(path: Path, orientation: str) -> Clip:
    """A picture stored on its side, upside down or mirrored, and a display matrix that says so."""
    return write(path, Recipe(options=X264, orientation=orientation))


def coloured(path: Path, colorspace: int, *, full_range: bool) -> Clip:
    """Saturated colours, stored and tagged by one of FFmpeg's colour matrices (1 is BT.709, 5 is BT.601)."""
    return write(path, Recipe(options=X264, draw=draw_colours, frames=2, colorspace=colorspace, full_range=full_range))


def odd_size(path: Path) -> Clip:
    """97 x 65 pixels; 4:4:4 where the codec can't store odd sizes otherwise."""
    if path.suffix == ".webm":
        return write(path, replace(VP9, size=(97, 65)))
    return write(path, Recipe(options=X264, size=(97, 65), pix_fmt="yuv444p"))


def single_frame(path: Path) -> Clip:
    """One frame."""
    return write(path, Recipe(options=X264, frames=1))


VP9 = Recipe(codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "g": "8", "threads": "1"})


def vp9(path: Path) -> Clip:
    """VP9, with hidden reference frames inside its packets."""
    options = {"deadline": "good", "cpu-used": "8", "g": "8", "threads": "1", "auto-alt-ref": "1", "lag-in-frames": "8"}
    return write(path, replace(VP9, options=options))


def vp8(path: Path) -> Clip:
    """VP8, with hidden reference frames in packets of their own."""
    options = {"deadline": "good", "cpu-used": "5", "g": "16", "threads": "1", "auto-alt-ref": "1"}
    return write(path, replace(VP9, codec="libvpx", options={**options, "lag-in-frames": "8"}))


def hevc(path: Path) -> Clip:
    """HEVC with open GOPs and B-frames."""
    params = "keyint=8:min-keyint=8:scenecut=0:bframes=2:open-gop=1:log-level=none:pools=1:frame-threads=1"
    return write(path, Recipe(codec="libx265", options={"preset": "ultrafast", "x265-params": params}))


def av1(path: Path) -> Clip:
    """AV1."""
    options = {"preset": "12", "g": "8", "svtav1-params": "lp=1"}
    return write(path, Recipe(codec="libsvtav1", options=options))


def mpeg4(path: Path) -> Clip:
    """MPEG-4 part 2 with B-frames."""
    return write(path, Recipe(codec="mpeg4", options={"bf": "2", "g": "8", "q": "3", "flags": "+qscale"}))


def mpeg2(path: Path) -> Clip:
    """MPEG-2 with B-frames."""
    return write(path, Recipe(codec="mpeg2video", options={"bf": "2", "g": "8", "q": "3", "flags": "+qscale"}))


def mpeg1(path: Path) -> Clip:
    """MPEG-1."""
    return write(path, Recipe(codec="mpeg1video", options={"g": "8", "q": "3", "flags": "+qscale"}))


def wmv(path: Path) -> Clip:
    """Windows Media Video 8."""
    return write(path, Recipe(codec="wmv2", options={"g": "8", "q": "3", "flags": "+qscale"}))


MJPEG = Recipe(codec="mjpeg", pix_fmt="yuvj420p", full_range=True)


def mjpeg(path: Path) -> Clip:
    """A JPEG for each frame."""
    return write(path, MJPEG)


def gif(path: Path) -> Clip:
    """An animated GIF."""
    return write(path, Recipe(codec="gif", pix_fmt="rgb8"))


def fragmented(path: Path) -> Clip:
    """An mp4 without an index for the whole file, as streaming servers and cameras write it."""
    return write(path, Recipe(options=X264_B_FRAMES, container_options={"movflags": "frag_keyframe+empty_moov"}))


ENCRYPTION = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "00112233445566778899aabbccddeeff",
    "encryption_kid": "ffeeddccbbaa99887766554433221100",
}


def encrypted(path: Path, movflags: str = "faststart") -> Clip:
    """An mp4 under common encryption (ISO/IEC 23001-7), as streaming services hand it out."""
    return write(path, Recipe(options=X264, container_options={**ENCRYPTION, "movflags": movflags}))


def encrypted_matroska(path: Path) -> Clip:
    """A Matroska file whose track says that its packets are encrypted (RFC 9559, 5.1.4.1.31.8)."""
    clip = constant_rate(path)
    head, segment = path.read_bytes().split(bytes.fromhex("18538067"), 1)
    first, cluster, clusters = segment.partition(bytes.fromhex("1f43b675"))
    seek_head, tracks = first[8:].rsplit(bytes.fromhex("1654ae6b"), 1)
    entry_start = tracks.index(b"\xae")
    length = 9 - tracks[entry_start + 1].bit_length()
    size = int.from_bytes(tracks[entry_start + 1 :][:length]) & (1 << 7 * length) - 1
    entry, after = tracks[entry_start + 1 + length :][:size], tracks[entry_start + 1 + length + size :]
    key = _ebml("5035", _ebml("47e1", b"\5") + _ebml("47e2", bytes(range(16))))
    encoding = _ebml("6240", _ebml("5033", b"\1") + key)
    tracks = _ebml("1654ae6b", _ebml("ae", entry + _ebml("6d80", encoding)) + after)
    path.write_bytes(head + _ebml("18538067", seek_head + tracks + cluster + clusters))
    return clip


def _ebml(identity: str, content: bytes) -> bytes:
    return bytes.fromhex(identity) + (len(content) | 1 << 56).to_bytes(8) + content


def scrambled(path: Path) -> Clip:
    """A transport stream whose video packets are marked as encrypted, their content noise."""
    clip = constant_rate(path)
    packets = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(-1, 188).copy()
    of_video = (packets[:, 1] & 31 == 1) & (packets[:, 2] == 0)
    packets[of_video, 3] |= 0x80
    packets[of_video, 8:] = np.random.default_rng(0).integers(0, 256, (of_video.sum(), 180), dtype=np.uint8)
    path.write_bytes(packets.tobytes())
    return clip


def bare(path: Path, recipe: Recipe, container: str) -> Clip:
    """A stream in a container that isn't the one that its name says, or in none at all (h264, hevc, obu)."""
    with av.open(str(path), "w", format=container) as output:
        _, packets = encode(recipe, output)
        output.mux(packets)
    return told(path, recipe)


def bare_h264(path: Path, rate: int = 25, *, b_frames: bool = False) -> Clip:
    """A bare H.264 stream, as `raspivid -o video.mp4` writes it."""
    recipe = Recipe(options=X264_B_FRAMES if b_frames else X264, rate=Fraction(rate))
    return bare(path, recipe, "h264")


def bare_hevc(path: Path) -> Clip:
    """A bare HEVC stream of 30000/1001 frames a second."""
    options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1"}
    return bare(path, Recipe(codec="libx265", options=options, rate=Fraction(30000, 1001)), "hevc")


def mxf(path: Path) -> Clip:
    """MPEG-2 in MXF, as studios exchange it."""
    return bare(path, Recipe(codec="mpeg2video", options={"bf": "2", "g": "8", "q": "3", "flags": "+qscale"}), "mxf")


def dv(path: Path) -> Clip:
    """DV, as tape cameras wrote it: 720 x 576 pixels, 25 pictures a second."""
    return bare(path, Recipe(codec="dvvideo", size=(720, 576), frames=5), "dv")


def ten_bit(path: Path) -> Clip:
    """H.264 with 10 bits a sample."""
    return write(path, Recipe(options=X264, pix_fmt="yuv420p10le"))


def edit_list(path: Path, cut: int = 11) -> Clip:
    """An mp4 whose edit list hides the first frames: decoded for the later ones' sake and never on screen."""
    recipe = Recipe(options=X264_B_FRAMES, time_base=Fraction(1, 25))
    with av.open(str(path), "w") as output:
        _, packets = encode(recipe, output)
        for packet in packets:
            packet.pts -= cut
            packet.dts -= cut
        output.mux(packets)
    return _without_first(told(path, recipe), cut)


def _without_first(clip: Clip, count: int) -> Clip:
    start = clip.times[count]
    times = [time - start for time in clip.times[count:]]
    return replace(clip, numbers=clip.numbers[count:], times=times, end=clip.end - start)


def truncated(path: Path, *, index_in_front: bool, keep: float = 0.6) -> Clip:
    """A file cut off after a part of its bytes; `Clip` tells of the whole one."""
    options = {"movflags": "faststart"} if index_in_front else {}
    noisy = {**X264_B_FRAMES, "crf": "1"}
    clip = write(path, Recipe(options=noisy, container_options=options))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return clip


def corrupt_packet(path: Path, number: int = 13, *, whole: bool = True) -> Clip:
    """One packet in the middle overwritten with noise: all of it, or its second half."""
    clip = write(path, Recipe(options={**X264, "crf": "5"}))
    with av.open(str(path)) as container:
        packet = bytes(list(container.demux(video=0))[number])
    data = bytearray(path.read_bytes())
    start = data.index(packet)
    first = start if whole else start + len(packet) // 2
    last = start + len(packet)
    data[first:last] = np.random.default_rng(0).integers(0, 256, last - first, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    return clip


def size_change(path: Path) -> Clip:
    """An MPEG-TS file whose second half is larger than its first."""
    middle = 16
    first = write(path, Recipe(options=X264, frames=middle))
    second = Recipe(options=X264, size=(128, 96), ticks=list(range(middle, FRAMES)), first_number=middle)
    head = path.read_bytes()
    tail = write(path, second)
    path.write_bytes(head + path.read_bytes())
    times = first.times + [first.end + time for time in tail.times]
    return replace(first, numbers=first.numbers + tail.numbers, times=times, end=first.end + tail.end)


def joined_late(path: Path, cut: int = 5) -> Clip:
    """A broadcast that was joined between two key frames: nothing before the second one can be decoded."""
    recipe = Recipe(options=X264)
    with av.open(str(path), "w") as output:
        _, packets = encode(recipe, output)
        output.mux(packets[cut:])
    return _without_first(told(path, recipe), int(X264["g"]))


def clock_reset(path: Path) -> Clip:
    """Two MPEG-TS recordings, one after the other in one file: the second one's clock starts anew."""
    first = write(path, Recipe(options=X264, frames=16))
    head = path.read_bytes()
    second = write(path, Recipe(options=X264, frames=14, first_number=16))
    path.write_bytes(head + path.read_bytes())
    times = first.times + [first.end + time for time in second.times]
    return replace(first, numbers=first.numbers + second.numbers, times=times, end=first.end + second.end)


def interlaced(path: Path) -> Clip:
    """Pictures coded as two fields."""
    return write(path, Recipe(options={"preset": "ultrafast", "x264-params": "keyint=8:tff=1:bframes=0:threads=1"}))


def zero_bytes(path: Path) -> Path:
    """An empty file."""
    path.write_bytes(b"")
    return path


def text_file(path: Path) -> Path:
    """A text file with a video's name."""
    path.write_text("not a video\n" * 200)
    return path


def audio_only(path: Path) -> Path:
    """Half a second of sound and no picture."""
    with av.open(str(path), "w") as output:
        _mux_sound(output)
    return path


def cover_art(path: Path) -> Path:
    """Sound with a cover picture, which FFmpeg presents as a video stream."""
    with av.open(str(path), "w") as output:
        cover = output.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic.value
        _mux_sound(output)
        picture = av.VideoFrame.from_ndarray(draw(5, 32, 32), format="rgb24")
        picture.pts, picture.time_base = 0, Fraction(1)
        output.mux(cover.encode(picture) + cover.encode(None))
    return path


def _mux_sound(output: av.container.OutputContainer) -> None:
    stream = output.add_stream("aac", rate=8000)
    stream.layout = "mono"
    for start in range(0, 4096, 1024):
        samples = np.sin(np.arange(start, start + 1024) / 5).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
