import os
import re
import string
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clip_assets.core.store.keys import escape_key

AWKWARD = st.sampled_from(
    [
        *(
            "",
            ".",
            "..",
            "...",
            "a",
            "A",
            "%",
            "%2E",
            "%-",
            "/",
            "\\",
            " ",
            "\0",
            "\n",
            "\x7f",
            "\ud800",
            "~",
            "C:",
            "*",
        ),
        *(
            "clip.npy",
            "manifest.json",
            "a.pkl",
            "x.tmp",
            ".json",
            "CON",
            "nul.mp4",
            "com1",
            "é",
            "e\u0301",
            "日本",
            "[a]",
        ),
    ]
)
KEYS = st.one_of(
    st.text(),
    st.text(alphabet="ab./%\\ -", max_size=12),
    st.lists(AWKWARD, max_size=4).map("/".join),
    st.lists(AWKWARD, max_size=4).map("".join),
    st.tuples(st.sampled_from("aé日%."), st.integers(60, 600), st.text(max_size=3)).map(lambda t: t[0] * t[1] + t[2]),
)


def unescaped(escaped: str) -> str:
    """The key that was escaped, for keys without over-long parts, by another way than the code under test."""
    parts = ["" if part == "%" else part for part in escaped.split("/")]
    return "/".join(unquote_to_bytes(part.encode()).decode("utf-8", "surrogatepass") for part in parts)


@pytest.mark.parametrize(
    "key",
    [
        "sports/lifting.mp4",
        "shapes.mp4",
        "Übung 1 (final).MOV",
        "日本/動画.mkv",
        "a,b;c=d+e&f#g@h!i~j'k[l]{m}^`$.webm",
        ".x",
    ],
)
def test_ordinary_keys_stay_readable(key):
    assert escape_key(key) == key


@pytest.mark.parametrize(
    ("key", "escaped"),
    [
        ("", "%"),
        ("/etc/passwd", "%/etc/passwd"),
        ("a//b/", "a/%/b/%"),
        (".", "%2E"),
        ("../../evil", ".%2E/.%2E/evil"),
        ("a/./b", "a/%2E/b"),
        ("a\\..\\b", "a%5C..%5Cb"),
        ("100%.mp4", "100%25.mp4"),
        ("%2E", "%252E"),
        ("a\0b\n", "a%00b%0A"),
        ('<a>:"b"|c?*', "%3Ca%3E%3A%22b%22%7Cc%3F%2A"),
        ("memory://x::y", "memory%3A/%/x%3A%3Ay"),
        ("a/clip.npy", "a/clip%2Enpy"),
        ("a/manifest.json", "a/manifest%2Ejson"),
        ("a/MANIFEST.JSON", "a/MANIFEST%2EJSON"),
        ("a/.clip.npy.0.tmp", "a/.clip.npy.0%2Etmp"),
        ("con/Nul.mp4/comic", "%63on/%4Eul.mp4/comic"),
        ("trailing. /dot.", "trailing.%20/dot%2E"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_what_a_file_system_could_misread_is_escaped(key, escaped):
    assert escape_key(key) == escaped


@given(KEYS)
@example("../" * 150)
@example("/" * 5)
def test_no_key_leaves_its_directory(key):
    escaped = escape_key(key)
    for path in (PurePosixPath(escaped), PureWindowsPath(escaped)):
        assert not path.is_absolute()
        assert not path.drive
        assert ".." not in path.parts
    parts = escaped.split("/")
    assert len(PurePosixPath(escaped).parts) == len(parts)  # no part is empty or a lone dot
    assert not re.search(r'[\x00-\x1f\\<>:"|?*]', escaped)
    for part in parts:
        assert len(os.fsencode(part)) <= 255
        assert not part.lower().endswith((".npy", ".pkl", ".json", ".tmp"))


@given(KEYS)
def test_a_key_can_be_told_from_its_directory(key):
    escaped = escape_key(key)
    if "%-" not in escaped:
        assert unescaped(escaped) == key


@given(KEYS, KEYS)
@example("a", "a/b")
@example("a", "a/")
@example("", "/")
@example("a.", "a%2E")
@example(".", "%2E")
@example("clip.npy", "clip%2Enpy")
@example("x" * 256, "x" * 257)
@example("x" * 256, escape_key("x" * 256))
def test_two_keys_never_share_a_directory(one, other):
    assert (escape_key(one) == escape_key(other)) == (one == other)


@pytest.mark.parametrize("character", ["x", "é", "日", "🎬", "%"])
def test_over_long_parts_are_cut_and_told_apart(character):
    keys = [character * 400, character * 401, character * 400 + "/b", "a/" + character * 400]
    escaped = [escape_key(key) for key in keys]
    assert len(set(escaped)) == len(keys)
    for path in escaped:
        assert all(len(part.encode()) <= 255 for part in path.split("/"))
    assert re.fullmatch(rf"({re.escape(escape_key(character))})+%-[0-9a-f]{{64}}", escaped[0])


@given(st.text(alphabet=string.ascii_letters + string.digits + "äöü日本", min_size=5, max_size=80))
def test_letters_and_digits_stay_as_they_are(name):
    assert escape_key(f"{name}/{name}.mp4") == f"{name}/{name}.mp4"
