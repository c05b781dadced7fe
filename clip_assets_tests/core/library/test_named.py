"""What a person names is a video or a folder, by its key or by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from clip_assets.core.library.folder import Folder
from clip_assets.core.library.named import Named, registered_keys

KEYS = ["-x.mp4", "a b.mp4", "a b/1.mp4", "a b/2.mp4", "other.mp4"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("-x.mp4", KEYS[:1]),
        ("a b.mp4", KEYS[1:2]),
        ("a b", KEYS[2:4]),
        ("a b/", KEYS[2:4]),
        ("./a b/1.mp4", KEYS[2:3]),
        ("{library}/a b", KEYS[2:4]),
        (".", KEYS),
        ("a", []),
        ("", []),
        ("../elsewhere", []),
    ],
)
def test_a_video_or_folder_is_named_by_its_key_or_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, meant: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert registered_keys(Folder(tmp_path), Named.parse(text.format(library=tmp_path)), KEYS) == meant
