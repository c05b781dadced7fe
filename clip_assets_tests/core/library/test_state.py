"""What is remembered between two looks survives exactly as it was, or is as if it had never been."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import astuple, replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_assets.core.library import state as module
from clip_assets.core.library.changes import KnownVideo, Sighting
from clip_assets.core.library.state import LibraryMemory, LibraryState

NOWHERE = Path("/nowhere")
STATE = LibraryState({"a/ü.mp4": KnownVideo(3, 1_700_000_000_123_456_789, "f" * 64)}, {"b.mp4": Sighting(1, 2, 3.25)})


class Memory(dict[int, str]):
    """Pages in memory, which count what is written."""

    written = 0

    def read(self, numbers: Iterable[int]) -> dict[int, str]:
        return {number: self[number] for number in numbers if number in self}

    def write(self, number: int, text: str) -> None:
        self.written += len(json.loads(text))
        self[number] = text


def load(pages: Memory, name: str, folder: Path = NOWHERE) -> LibraryState:
    return LibraryMemory(pages, name, folder).state


def videos(count: int) -> dict[str, KnownVideo]:
    return {f"{number}.mp4": KnownVideo(number, 1, "f") for number in range(count)}


_states = st.builds(
    LibraryState,
    st.dictionaries(st.sampled_from("abcdefg"), st.builds(KnownVideo, st.integers(0), st.integers(), st.text())),
    st.dictionaries(st.text(), st.builds(Sighting, st.integers(0), st.integers(), st.floats(0, 1e12))),
)


@given(st.lists(_states, max_size=8))
def test_each_state_is_read_as_it_was_written_whatever_came_before(states: list[LibraryState]) -> None:
    pages, name = Memory(), ""
    with patch.object(module, "PAGE", 3):
        for state in states:
            name = LibraryMemory(pages, name, NOWHERE).remember(state)
            assert load(pages, name) == state


def test_a_state_that_was_written_later_does_not_touch_the_current_one() -> None:
    pages = Memory()
    current = LibraryMemory(pages, "", NOWHERE).remember(STATE)
    for size in range(5):
        LibraryMemory(pages, current, NOWHERE).remember(LibraryState(videos(size)))
        assert load(pages, current) == STATE


def test_the_same_state_again_keeps_its_name_and_writes_nothing() -> None:
    pages = Memory()
    name = LibraryMemory(pages, "", NOWHERE).remember(STATE)
    pages.written = 0
    assert LibraryMemory(pages, name, NOWHERE).remember(STATE) == name
    assert pages.written == 0


def test_what_is_written_is_what_differs_and_what_is_kept_stays_bounded() -> None:
    pages, name, known = Memory(), "", videos(1000)
    with patch.object(module, "PAGE", 100):
        name = LibraryMemory(pages, name, NOWHERE).remember(LibraryState(known))
        pages.written = 0
        for look in range(200):
            known |= {f"{look % 50}.mp4": KnownVideo(look, 2, "f")}
            name = LibraryMemory(pages, name, NOWHERE).remember(LibraryState(known))
    assert load(pages, name).known == known
    assert pages.written < 200 * 15, "each look wrote far more than it changed"
    assert len(pages) < 50
    assert sum(len(json.loads(text)) for text in pages.values()) < 4000


@pytest.mark.parametrize("damage", [lambda text: text[:-1], lambda text: text.replace("f", "e"), None])
def test_a_lost_or_damaged_page_costs_its_videos_alone(damage: object) -> None:
    pages, known = Memory(), videos(20)
    with patch.object(module, "PAGE", 10):
        name = LibraryMemory(pages, "", NOWHERE).remember(LibraryState(known))
        number = int(name.partition("-")[0])
        if callable(damage):
            pages[number] = damage(pages[number])
        else:
            del pages[number]
        left = load(pages, name).known
        assert len(left) == 10
        assert left.items() <= known.items()
        again = LibraryMemory(pages, name, NOWHERE).remember(LibraryState(known))
        assert load(pages, again).known == known
    assert load(pages, "never") == LibraryState()


def file_of(folder: Path, state: LibraryState) -> str:
    """The name of a state as a file, as it was kept before there were pages."""
    content = {
        "known": {key: astuple(video)[:3] for key, video in state.known.items()},
        "sightings": {key: astuple(sighting)[:3] for key, sighting in state.sightings.items()},
    }
    data = json.dumps(content, separators=(",", ":")).encode()
    name = hashlib.sha256(data).hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(data)
    return name


def test_a_state_of_before_there_were_pages_is_taken_over_whole(tmp_path: Path) -> None:
    pages, old = Memory(), file_of(tmp_path, STATE)
    assert load(pages, old, tmp_path) == STATE
    new = LibraryMemory(pages, old, tmp_path).remember(STATE)
    assert load(pages, new) == STATE
    changed = replace(STATE, known=videos(2))
    assert load(pages, LibraryMemory(pages, new, tmp_path).remember(changed)) == changed
    (tmp_path / f"{old}.json").write_bytes(b'{"known":{},"sightings"')
    assert load(Memory(), old, tmp_path) == LibraryState()
