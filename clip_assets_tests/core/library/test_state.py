"""What is remembered between two looks survives exactly as it was, or is as if it had never been."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from clip_assets.core.library.changes import KnownVideo, Sighting
from clip_assets.core.library.state import LibraryState, LibraryStates

STATE = LibraryState({"a/ü.mp4": KnownVideo(3, 1_700_000_000_123_456_789, "f" * 64)}, {"b.mp4": Sighting(1, 2, 3.25)})


@given(
    st.dictionaries(st.text(), st.builds(KnownVideo, st.integers(0), st.integers(), st.text())),
    st.dictionaries(st.text(), st.builds(Sighting, st.integers(0), st.integers(), st.floats(0, 1e12))),
)
def test_a_state_is_read_as_it_was_written(known: dict[str, KnownVideo], sightings: dict[str, Sighting]) -> None:
    with TemporaryDirectory() as folder:
        states = LibraryStates(Path(folder))
        state = LibraryState(known, sightings)
        assert states.load(states.save(state, current="")) == state


def test_a_state_that_was_saved_later_does_not_touch_the_current_one(tmp_path: Path) -> None:
    states = LibraryStates(tmp_path / "states")
    current = states.save(STATE, current="")
    states.save(LibraryState(), current)
    assert states.load(current) == STATE


def test_states_that_nobody_names_any_more_are_removed(tmp_path: Path) -> None:
    states = LibraryStates(tmp_path)
    first = states.save(STATE, current="")
    second = states.save(LibraryState(), current=first)
    states.save(LibraryState(STATE.known), current=second)
    assert states.load(first) == LibraryState()
    assert len(list(tmp_path.iterdir())) == 2


def test_saving_the_same_state_again_keeps_its_name_and_file(tmp_path: Path) -> None:
    states = LibraryStates(tmp_path)
    name = states.save(STATE, current="")
    assert states.save(STATE, current=name) == name
    assert states.load(name) == STATE


def test_a_lost_or_damaged_state_reads_as_an_empty_one(tmp_path: Path) -> None:
    states = LibraryStates(tmp_path)
    assert states.load("never") == LibraryState()
    name = states.save(STATE, current="")
    (tmp_path / f"{name}.json").write_bytes(b'{"known":{},"sightings"')
    assert states.load(name) == LibraryState()
