"""What is damaged and what isn't: loss is told wherever anything tells of it, and nothing else is."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from clip_assets.core.errors import VideoDamagedError
from clip_assets.core.video import decode, probe
from clip_assets.core.video.containers.matroska import ebml_size, matroska_account
from clip_assets_tests.making import corpus, corpus_fields
from clip_assets_tests.making import corpus_containers as containers
from clip_assets_tests.making.corpus import Clip, Recipe, read_number

Writer = Callable[[Path], Clip]

# File name -> how it is written; each is whole.
WHOLE: dict[str, Writer] = {
    "empty_chunks.avi": containers.mpeg4_empty_chunks,
    "empty_chunks mjpeg.avi": containers.mjpeg_empty_chunks,
    "fields.mp4": corpus_fields.fields,
    "fields.mkv": corpus_fields.fields,
    "fields.ts": corpus_fields.fields,
    "fields.avi": corpus_fields.fields,
    "some fields.mp4": partial(corpus_fields.fields, together=(3, 4, 11)),
    "not_coded.mp4": containers.not_coded,
    "not_coded.mkv": containers.not_coded,
    "not_coded.avi": containers.not_coded,
    "start_codes.mp4": containers.start_codes,
    "longer_header.mkv": containers.longer_header,
    "longer_header.flv": containers.longer_header,
    "longer_count.avi": containers.longer_count,
    "begun_within_a_packet.ts": containers.begun_within_a_packet,
    "begun_within_a_packet.m2ts": containers.begun_within_a_packet,
    "live.mkv": containers.live_matroska,
    "sound.ts": containers.with_sound,
    "sound.mkv": containers.with_sound,
    "sound.mpg": containers.with_sound,
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_decodes_from_a_whole_container_is_given_with_its_times(name: str, tmp_path: Path) -> None:
    clip = WHOLE[name](tmp_path / name)
    found = probe(clip.path)
    times = [int(tick) * found.time_base for tick in found.pts]
    assert found.damage == ""
    assert times == pytest.approx([float(time) for time in clip.times], abs=0.001)
    assert found.duration_ms == pytest.approx(1000 * float(clip.end), abs=1)
    for rule in ("fail", "keep"):
        with decode(found, np.arange(found.frame_count), on_damage=rule) as frames:
            assert [read_number(frame.rgb) for frame in frames] == clip.numbers
            assert frames.damage == ""


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\x81", 1),
        (b"\x40\x02", 2),
        (b"\x01\x00\x00\x00\x00\x01\x00\x00", 65536),
        (b"\xff", None),
        (b"\x01\xff\xff\xff\xff\xff\xff\xff", None),
        (b"\x00\x01", None),
        (b"", None),
    ],
)
def test_ebml_sizes_are_read_as_rfc_8794_writes_them(data: bytes, size: int | None) -> None:
    assert ebml_size(BytesIO(data)) == size


def test_a_matroska_file_is_cut_from_the_first_missing_byte_on(tmp_path: Path) -> None:
    data = corpus.constant_rate(tmp_path / "whole.mkv").path.read_bytes()
    assert matroska_account(BytesIO(data), len(data), array("q")).ends
    assert "ends early" in matroska_account(BytesIO(data), len(data) - 1, array("q")).damage


CUT = "the file ends early|frames are missing"
LIVE_FLV = Recipe(options=corpus.X264, container_options={"flvflags": "no_duration_filesize+no_sequence_end"})


def damaged(writer: Writer, edit: Callable[[bytes], bytes]) -> Writer:
    return lambda path: containers.edited(writer(path), edit)


def zeros(first: float, last: float = 1) -> Callable[[bytes], bytes]:
    """A part of a file that was never written."""

    def blank(data: bytes) -> bytes:
        start, end = int(len(data) * first), int(len(data) * last)
        return data[:start] + bytes(end - start) + data[end:]

    return blank


def cut(keep: float, unit: int = 1, head: Callable[[bytes], int] = lambda data: 0) -> Callable[[bytes], bytes]:
    """The first part of a file, cut between units of some bytes that follow its head."""

    def part(data: bytes) -> bytes:
        start = head(data)
        return data[: start + int((len(data) - start) * keep) // unit * unit]

    return part


def without_box(name: bytes, number: int = 0, count: int = 1) -> Callable[[bytes], bytes]:
    """An mp4 without some of its outermost boxes: from one of a name on."""

    def edit(data: bytes) -> bytes:
        boxes = list(outermost_boxes(data))
        first = [place for place, (kind, _) in enumerate(boxes) if kind == name][number]
        return b"".join(box for _, box in boxes[:first] + boxes[first + count :])

    return edit


def outermost_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 0
    while start < len(data):
        end = start + int.from_bytes(data[start : start + 4], "big")
        yield data[start + 4 : start + 8], data[start:end]
        start = end


def noisy(path: Path) -> Clip:
    """Packets of some hundred bytes each, the index of an mp4 in front of them."""
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    return corpus.write(path, Recipe(options={**corpus.X264, "crf": "5"}, container_options=options))


def wmv(path: Path) -> Clip:
    """Of several data packets."""
    return corpus.write(path, Recipe(codec="wmv2", options={"g": "8", "q": "1", "flags": "+qscale"}, size=(192, 128)))


def fragments(path: Path) -> Clip:
    """Fragments that can be read wherever they lie, without an index at the end."""
    flags = "frag_keyframe+empty_moov+default_base_moof+skip_trailer"
    return corpus.write(path, Recipe(options=corpus.X264, container_options={"movflags": flags}))


def another_pid(path: Path) -> Clip:
    """The second half comes under another id, as where a broadcast changes its programme."""
    tail = corpus.write(path, Recipe(options=corpus.X264, container_options={"mpegts_start_pid": "300"}))
    rest = tail.path.read_bytes()
    return containers.edited(noisy(path), lambda data: data + rest)


SPACED_204 = 204
ERROR_CORRECTION = bytes(range(1, 17))


def spaced(data: bytes) -> bytes:
    """With error correction behind each packet."""
    return b"".join(packet.tobytes() + ERROR_CORRECTION for packet in containers.ts_packets(data))


def asf_head(data: bytes) -> int:
    return int.from_bytes(data[16:24], "little") + 50


# File name -> how it is written, and what is said of it.
DAMAGED: dict[str, tuple[Writer, str]] = {
    "zero_tail.ts": (damaged(noisy, zeros(0.5)), r"its last \d+ packets have no sync byte"),
    "zero_tail.m2ts": (damaged(noisy, zeros(0.5)), r"its last \d+ packets have no sync byte"),
    "zero_tail.mp4": (damaged(noisy, zeros(0.5)), "packets are broken"),
    "zero_tail.mkv": (damaged(noisy, zeros(0.5)), CUT),
    "zero_tail.flv": (damaged(noisy, zeros(0.5)), CUT),
    "zero_tail.wmv": (damaged(wmv, zeros(0.5)), r"it holds \d+ of the \d+ data packets"),
    "zero_tail.avi": (damaged(noisy, zeros(0.8)), CUT),
    "zero_tail.mpg": (damaged(corpus.mpeg2, zeros(0.5)), "broken from byte"),
    "zero_tail.gif": (damaged(corpus.gif, zeros(0.5)), "ends early, or is broken"),
    "zero_tail live.mkv": (damaged(containers.live_matroska, zeros(0.6)), "ends early, or is broken"),
    "zeros.mkv": (damaged(noisy, zeros(0.5, 0.6)), "broken from byte"),
    "zeros.webm": (damaged(corpus.vp9, zeros(0.5, 0.7)), CUT),
    "zeros.avi": (damaged(noisy, zeros(0.6, 0.7)), CUT),
    "zeros.flv": (damaged(noisy, zeros(0.5, 0.6)), "broken from byte"),
    "zeros.ts": (damaged(noisy, zeros(0.5, 0.7)), "packets are missing|packets are broken"),
    "cut within a packet.ts": (damaged(noisy, lambda data: data[: 188 * 30 + 100]), "part of a packet is at its end"),
    "cut to 192s.ts": (damaged(noisy, lambda data: data[: 192 * 40]), "part of a packet is at its end"),
    "cut to 188s.m2ts": (damaged(noisy, lambda data: data[: 188 * 40]), "part of a packet is at its end"),
    "junk at the end.ts": (damaged(noisy, lambda data: data + b"junk" * 9), "part of a packet is at its end"),
    "junk.ts": (damaged(noisy, lambda data: data[: 188 * 30] + b"junk" * 9 + data[188 * 30 :]), "belong to none"),
    "lost within a frame.ts": (
        damaged(noisy, partial(containers.without_ts_packets, pid=256, first=3)),
        "packets are missing",
    ),
    "another_pid.ts": (another_pid, "the video goes on in another stream, of id 0x12c"),
    "another_id.mpg": (
        damaged(corpus.mpeg2, lambda data: data + data.replace(b"\0\0\1\xe0", b"\0\0\1\xe1")),
        "the video goes on in another stream, of id 0xe1",
    ),
    "cut between packets.wmv": (damaged(wmv, cut(0.5, 3200, asf_head)), r"it holds \d+ of the \d+ data packets"),
    "cut within a tag.flv": (damaged(lambda path: corpus.write(path, LIVE_FLV), cut(0.6)), "inside a tag"),
    "cut without an end mark.flv": (damaged(lambda path: corpus.write(path, Recipe(codec="flv")), cut(0.6)), CUT),
    "cut.mpg": (damaged(corpus.mpeg2, cut(0.6)), "inside a packet"),
    "cut.gif": (damaged(corpus.gif, cut(0.6)), CUT),
    "fragment left out.mp4": (damaged(fragments, without_box(b"moof", 1, 2)), "fragments are missing: 1"),
    "last fragment left out.mp4": (damaged(corpus.fragmented, without_box(b"moof", -1, 2)), "fragments are missing: 1"),
    "cut within a fragment.mp4": (damaged(fragments, cut(0.6)), CUT),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_lost_is_said_before_anything_is_decoded(name: str, tmp_path: Path) -> None:
    writer, said = DAMAGED[name]
    clip = writer(tmp_path / name)
    found = probe(clip.path)
    with pytest.raises(VideoDamagedError, match=said):
        decode(found, np.array([0]))
    with decode(found, np.arange(found.frame_count), on_damage="keep") as frames:
        shown = [read_number(frame.rgb) for frame in frames]
        assert frames.damage
    assert shown
    assert set(shown) <= set(clip.numbers)


# File name -> how it is written, and whether its container would tell if its end were missing.
ENDS: dict[str, tuple[Writer, bool]] = {
    "plain.mp4": (corpus.constant_rate, True),
    "plain.mkv": (corpus.constant_rate, True),
    "plain.avi": (corpus.constant_rate, True),
    "plain.flv": (corpus.constant_rate, True),
    "plain.wmv": (corpus.wmv, True),
    "plain.gif": (corpus.gif, True),
    "fragments.mp4": (fragments, False),
    "indexed fragments.mp4": (corpus.fragmented, True),
    "plain.ts": (corpus.constant_rate, False),
    "cut between packets.ts": (damaged(noisy, cut(0.6, 188)), False),
    "plain.mpg": (corpus.mpeg2, False),
    "live.flv": (lambda path: corpus.write(path, LIVE_FLV), False),
    "live.mkv": (partial(containers.live_matroska, keep=0.5), False),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_container_that_doesnt_tell_where_it_ends_is_said_to_be_one(name: str, tmp_path: Path) -> None:
    writer, told = ENDS[name]
    found = probe(writer(tmp_path / name).path)
    assert (found.damage, found.end_is_known) == ("", told)


def test_sound_that_is_lost_is_no_damage_to_the_video(tmp_path: Path) -> None:
    clip = containers.with_sound(tmp_path / "sound.ts")
    lossy = containers.edited(clip, partial(containers.without_ts_packets, pid=256, first=6))
    assert probe(lossy.path).damage == ""


def test_error_correction_behind_the_packets_is_none_of_the_video(tmp_path: Path) -> None:
    clip = containers.edited(noisy(tmp_path / "spaced.ts"), spaced)
    assert probe(clip.path).damage == ""
    clip.path.write_bytes(clip.path.read_bytes()[: SPACED_204 * 30 + 94])
    assert "a part of a packet is at its end" in probe(clip.path).damage


def test_recordings_joined_at_their_tables_lose_nothing(tmp_path: Path) -> None:
    clip = containers.edited(noisy(tmp_path / "joined.ts"), lambda data: 3 * data)
    found = probe(clip.path)
    assert (found.damage, found.frame_count) == ("", 90)
