"""What a fingerprint tells apart."""

import hashlib
import os
from pathlib import Path

import pytest

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.library.fingerprints import FINGERPRINT_BYTES, fingerprint


def test_a_small_file_is_fingerprinted_whole(tmp_path: Path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc")
    assert fingerprint(path) == hashlib.sha256((3).to_bytes(8, "big") + b"abc").hexdigest()


@pytest.mark.parametrize("size", [1, 1000, FINGERPRINT_BYTES])
def test_any_changed_byte_of_a_small_file_shows(tmp_path: Path, size: int):
    content = bytearray(size)
    path = tmp_path / "a.mp4"
    seen = set()
    for position in (None, 0, size // 2, size - 1):
        content[:] = bytes(size)
        if position is not None:
            content[position] = 1
        path.write_bytes(content)
        seen.add(fingerprint(path))
    assert len(seen) == len({None, 0, size // 2, size - 1})


def test_of_a_big_file_size_ends_and_sixteen_even_chunks_count(tmp_path: Path):
    path = tmp_path / "big.mp4"
    size, chunk = 10 * FINGERPRINT_BYTES, FINGERPRINT_BYTES // 16
    starts = [i * (size - chunk) // 15 for i in range(16)]

    def with_byte_at(position: int | None) -> str:
        with path.open("wb") as file:
            file.truncate(size)
            if position is not None:
                file.seek(position)
                file.write(b"x")
        return fingerprint(path)

    unchanged = with_byte_at(None)
    assert starts[-1] + chunk == size
    read = {with_byte_at(position) for start in starts for position in (start, start + chunk - 1)}
    assert len(read) == 32
    assert unchanged not in read
    assert {with_byte_at(start + chunk) for start in starts[:-1]} == {unchanged}  # the documented blind spot
    os.truncate(path, size + 1)
    assert fingerprint(path) != unchanged


def test_a_fingerprint_is_of_the_content_and_not_of_name_or_time(tmp_path: Path):
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    os.utime(second, (0, 0))
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize("name", ["missing.mp4", "folder.mp4"])
def test_what_cannot_be_read_has_no_fingerprint(tmp_path: Path, name: str):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(VideoUnreadableError, match="can't be read"):
        fingerprint(tmp_path / name)
