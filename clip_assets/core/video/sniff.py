"""What a file is that FFmpeg can't read as a video, told by its first bytes: an error may then name the true reason."""

from __future__ import annotations

from pathlib import Path

HEAD_BYTES = 4096

# What a file begins with, and what it then is. Order matters where one begins as another does.
BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"ID3", "an MP3 sound"),
    (b"fLaC", "a FLAC sound"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"version https://git-lfs", "a Git LFS pointer: the file itself wasn't fetched"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
)
RIFF_KINDS = {b"WAVE": "a WAV sound", b"WEBP": "a WebP picture"}

# The second byte of a frame, after 0xFF: MPEG audio of layer III, and AAC in ADTS.
SOUND_FRAMES = {0xFB: "an MP3 sound", 0xF3: "an MP3 sound", 0xFA: "an MP3 sound", 0xF1: "AAC sound", 0xF9: "AAC sound"}

TS_SYNC = b"\x47"
TS_PACKET_BYTES = (188, 204)
TS_HEAD_BYTES = 2**20

MP4_BOXES = (b"ftyp", b"mdat", b"free", b"skip", b"wide", b"moov", b"styp", b"moof")


def why_no_video(path: Path) -> str:
    """What a file is instead of a video, for a person; empty where its first bytes don't tell."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        return "it is empty"
    if not head.strip(b"\0"):
        return f"it begins with {len(head)} zero bytes"
    beginning = head.lstrip(b"\xef\xbb\xbf \r\n\t")[:32].lower()
    kind = next((kind for magic, kind in BEGINNINGS if head.startswith(magic) or beginning.startswith(magic)), "")
    if head[:4] == b"RIFF":
        kind = RIFF_KINDS.get(head[8:12], "")
    if head[0] == 0xFF:
        kind = kind or SOUND_FRAMES.get(head[1] if len(head) > 1 else 0, "")
    if kind or _is_text(head):
        return f"it is {kind or 'a text'}, no video"
    if b"encv" in head or b"enca" in head:
        return "it is encrypted"
    if head[4:8] in MP4_BOXES:
        return "its index (moov) is missing, or isn't whole: the file is cut off, or was never finished"
    return ""


def is_scrambled(path: Path) -> bool:
    """Whether a transport stream's packets are marked as encrypted, as pay television sends them.

    ISO/IEC 13818-1, 2.4.3.2: transport_scrambling_control is 0 where a packet's payload isn't scrambled.
    """
    with path.open("rb") as file:
        head = file.read(TS_HEAD_BYTES)
    size = next((size for size in TS_PACKET_BYTES if head[::size][:5] == TS_SYNC * 5), 0)
    return bool(size) and any(control & 0xC0 for control in head[3::size])


def _is_text(head: bytes) -> bool:
    """Whether these bytes are UTF-8 that can be printed; the last character may be cut."""
    text = head.decode("utf-8", "ignore")
    return len(text.encode()) >= len(head) - 3 and all(sign.isprintable() or sign in "\r\n\t\f" for sign in text)
