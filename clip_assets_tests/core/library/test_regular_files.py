"""What is no file is refused for what it is, and never opened: a pipe's reader would wait for ever."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from clip_assets.core.errors import VideoUnreadableError
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.folder import Folder
from clip_assets.core.library.listing import Unlisted
from clip_assets.core.library.regular_files import why_no_file
from clip_assets.core.video import probe

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")


def bind_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def link_pipe(path: Path) -> None:
    os.mkfifo(path.with_name(".pipe"))
    path.symlink_to(path.with_name(".pipe"))


SPECIAL: dict[str, tuple[Callable[[Path], None], str]] = {
    "pipe": (os.mkfifo, "it is a named pipe, not a file"),
    "linked pipe": (link_pipe, "it is a named pipe, not a file"),
    "socket": (bind_socket, "it is a socket, not a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "lost link": (lambda path: path.symlink_to("nowhere"), "it is a link to nothing"),
}


@pytest.mark.parametrize(("make", "reason"), SPECIAL.values(), ids=SPECIAL)
def test_what_is_no_file_is_refused_for_what_it_is(
    make: Callable[[Path], None], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path may have some 100 bytes
    make(Path("a.mp4"))
    assert Folder(Path()).listing().unlisted == (Unlisted("a.mp4", reason),)
    for read in (probe, fingerprint):
        with pytest.raises(VideoUnreadableError, match=rf"a\.mp4.*{reason}"):
            read(Path("a.mp4"))


def test_a_missing_file_a_folder_and_a_name_that_no_file_can_have_are_told_apart(tmp_path: Path) -> None:
    assert why_no_file(tmp_path / "gone.mp4") == "No such file or directory"
    assert why_no_file(tmp_path) == "it is a folder, not a file"
    assert why_no_file(tmp_path / ("x" * 300)) == "File name too long"
    (tmp_path / "a.mp4").touch()
    assert why_no_file(tmp_path / "a.mp4") == ""
