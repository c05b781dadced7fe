"""Whatever happens to the store, to the videos and to the index: no answer is wrong, and none is missing for long."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_assets.core.digests import digest
from clip_assets.core.errors import StoreError
from clip_assets.core.library.folder import Folder
from clip_assets.core.records import Shots
from clip_assets.core.search import cache as cache_module
from clip_assets.core.search import upkeep as upkeep_module
from clip_assets.core.search.cache import ShotCache
from clip_assets.core.shots import find_shots, shot_parameters
from clip_assets.core.store import Store
from clip_assets_tests.core.search.corpus import MODEL, OTHER_MODEL, WIDTH, Library, clip_of, told

SCENES = {key: number for number, key in enumerate(("a.mp4", "b.mp4", "c/d.mp4"))}
ACTIONS = ("add", "change the video", "compute anew", "delete the result", "remove the video", "other model", "refresh")


def content(key: str, version: int) -> np.ndarray:
    """Two scenes; the second is the video's own and changes with each version."""
    return clip_of((20, 6), (SCENES[key] * 6 + version % 6, 5), seed=version)


def act(library: Library, action: str, key: str, version: int) -> None:
    stored = library.store.manifest("clip_features", key) is not None
    present = (library.videos / key).exists()
    if action == "refresh":
        library.upkeep.refresh()
    elif action == "add" or not stored:
        library.add(key, content(key, version), content=f"{version}")
    elif action == "change the video" and present:
        (library.videos / key).write_text(f"changed, {version}")
    elif action == "compute anew" and present:
        library.compute(key, content(key, version))
    elif action == "delete the result":
        library.store.delete("clip_features", key)
    elif action == "remove the video":
        (library.videos / key).unlink(missing_ok=True)
    elif action == "other model" and present:
        library.compute(key, content(key, version), weights=OTHER_MODEL)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(list(SCENES))), min_size=1, max_size=8))
@settings(max_examples=12)
def test_after_any_changes_answers_are_those_of_a_cache_built_anew(steps):
    folder = Path(tempfile.mkdtemp())
    try:
        library = Library(folder)
        for version, (action, key) in enumerate(steps):
            act(library, action, key, version)
        library.upkeep.refresh()
        fresh = library.new_upkeep("fresh")
        fresh.refresh()
        for concept in (20, *range(0, 18, 3)):
            assert told(library.ask(concept)) == told(library.ask(concept, fresh))
        assert library.upkeep.census().models == fresh.census().models
        assert library.upkeep.census().states == fresh.census().states
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("action", ACTIONS[1:-1])
def test_an_answer_without_a_refresh_holds_nothing_that_has_gone(tmp_path, action):
    library = Library(tmp_path)
    for key in SCENES:
        library.add(key, content(key, 0))
    library.upkeep.refresh()
    assert told(library.ask(0))[0][:3] == ("a.mp4", 6, 10)
    act(library, action, "a.mp4", 1)
    answer = told(library.ask(0))
    assert all(key != "a.mp4" or action == "compute anew" for key, *_ in answer)
    if action == "compute anew":
        assert told(library.ask(1))[0][:3] == ("a.mp4", 6, 10)


def test_videos_that_are_not_searched_are_counted_with_their_reason(tmp_path):
    library = Library(tmp_path)
    for key in SCENES:
        library.add(key, content(key, 0))
    library.compute("a.mp4", content("a.mp4", 0), weights=OTHER_MODEL)
    (library.videos / "b.mp4").write_text("changed")
    (library.videos / "c/d.mp4").unlink()
    library.upkeep.refresh()
    census = library.upkeep.census()
    assert census.models == {("custom", MODEL): 2, ("custom", OTHER_MODEL): 1}
    assert census.states[MODEL] == Counter(stale=1, removed=1)


def test_a_video_that_comes_back_is_found_again(tmp_path):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    library.upkeep.refresh()
    away = library.videos.parent / "away"
    (library.videos / "a.mp4").rename(away)
    assert told(library.ask(0)) == []
    away.rename(library.videos / "a.mp4")
    library.upkeep.refresh()
    assert len(told(library.ask(0, per_video=1))) == 1


def test_where_the_folder_can_not_be_listed_answers_stand_and_say_so(tmp_path):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    library.upkeep.refresh()
    library.videos.rename(tmp_path / "unmounted")
    assert len(told(library.ask(0, per_video=1))) == 1
    assert "can't be listed" in library.upkeep.census().unlisted
    library.upkeep.refresh()
    assert len(told(library.ask(0, per_video=1))) == 1
    (tmp_path / "unmounted").rename(library.videos)
    library.upkeep.refresh()
    assert library.upkeep.census().unlisted == ""


def test_a_file_is_fingerprinted_once_and_again_when_its_time_differs(tmp_path, monkeypatch):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    read = []
    whole = Folder.fingerprint
    monkeypatch.setattr(Folder, "fingerprint", lambda folder, key: read.append(key) or whole(folder, key))
    for _ in range(3):
        library.upkeep.refresh()
        library.ask(0)
    assert read == ["a.mp4"]
    os.utime(library.videos / "a.mp4", ns=(1, 1))
    assert len(told(library.ask(0, per_video=1))) == 1
    assert read == ["a.mp4", "a.mp4"]


def test_stored_shots_are_taken_if_they_are_of_these_features(tmp_path, monkeypatch):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    manifest = library.store.manifest("clip_features", "a.mp4")
    features = library.store.read("clip_features", "a.mp4", upkeep_module.ClipFeatures)
    parameters = shot_parameters(manifest.parameters)
    shots = find_shots(features, 5500.0)
    library.store.write("shots", "a.mp4", shots, data_version=digest(parameters), parameters=parameters)
    with monkeypatch.context() as patch:
        patch.setattr(upkeep_module, "find_shots", None)
        library.upkeep.refresh()
    assert len(told(library.ask(0, per_video=1))) == 1
    other = find_shots(upkeep_module.ClipFeatures(**{**vars(features), "clip": features.clip[::-1].copy()}), 1.0)
    library.store.write("shots", "a.mp4", other, data_version="of others", parameters={})
    fresh = library.new_upkeep("fresh")
    fresh.refresh()
    assert told(library.ask(0, fresh)) == told(library.ask(0))


def test_features_that_can_not_be_read_are_left_out_and_counted(tmp_path):
    library = Library(tmp_path)
    for key in SCENES:
        library.add(key, content(key, 0))
    torn = Path(library.store.path("clip_features", "a.mp4") / "clip.npy")
    torn.write_bytes(torn.read_bytes()[:-4])
    library.upkeep.refresh()
    assert library.upkeep.census().states[MODEL] == Counter(searched=2, unreadable=1)
    gone = Path(library.store.path("clip_features", "b.mp4") / "clip.npy")
    gone.unlink()
    assert {key for key, *_ in told(library.ask(20))} == {"c/d.mp4"}
    assert library.upkeep.census().states[MODEL] == Counter(searched=1, unreadable=2)


@pytest.mark.parametrize("damage", ["database torn", "database foreign", "vectors torn", "vectors gone", "folder gone"])
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    library.upkeep.refresh()
    library.upkeep.cache.close()
    folder = tmp_path / "cache"
    (vectors,) = folder.glob("*.f16")
    database = folder / "shots.sqlite"
    if damage == "database torn":
        database.write_bytes(database.read_bytes()[: 4096 + 100])
    elif damage == "database foreign":
        database.write_bytes(b"not a database at all" * 100)
    elif damage == "vectors torn":
        vectors.write_bytes(vectors.read_bytes()[:-2])
    elif damage == "vectors gone":
        vectors.unlink()
    else:
        shutil.rmtree(folder)
    library.add("b.mp4", content("b.mp4", 0))
    library.upkeep = library.new_upkeep()
    library.upkeep.refresh()
    assert {key for key, *_ in told(library.ask(20))} == {"a.mp4", "b.mp4"}


def test_a_cache_that_is_deleted_under_a_process_is_made_again(tmp_path):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    library.upkeep.refresh()
    shutil.rmtree(tmp_path / "cache")
    library.upkeep.refresh()
    assert len(told(library.ask(0, per_video=1))) == 1


def test_a_cache_that_can_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="index of shots"):
        ShotCache(tmp_path / "file")


def test_vectors_that_nobody_owns_go_before_they_are_most(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_SPARE_ROWS", 8)
    library = Library(tmp_path)
    for version in range(12):
        library.add("a.mp4", content("a.mp4", version))
        library.add("b.mp4", content("b.mp4", 0))
        library.upkeep.refresh()
    assert told(library.ask(11 % 6))[0][:3] == ("a.mp4", 6, 10)
    index = library.upkeep.cache.index(MODEL)
    assert len(index.bits) <= 24
    library.upkeep.cache.close()
    library.new_upkeep()
    assert len(list((tmp_path / "cache").glob("*.f16"))) == 1


def test_an_index_of_before_still_reads_what_it_was_made_of(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_SPARE_ROWS", 1)
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    library.upkeep.refresh()
    index = library.upkeep.cache.index(MODEL)
    before = index.scores(np.eye(WIDTH)[0])
    for version in range(1, 6):
        library.add("a.mp4", content("a.mp4", version))
        library.upkeep.refresh()
    np.testing.assert_array_equal(index.scores(np.eye(WIDTH)[0]), before)


WRITER = """
    import sys
    from pathlib import Path
    from clip_assets.core.library.folder import Folder
    from clip_assets.core.search.cache import ShotCache
    from clip_assets.core.search.upkeep import Upkeep
    from clip_assets.core.store import Store
    folder = Path(sys.argv[1])
    while True:
        upkeep = Upkeep(ShotCache(folder / "cache"), Store(folder / "output"), Folder(folder / "videos"))
        print("up", flush=True)
        upkeep.refresh()
        upkeep.cache.remove(list(upkeep.cache.known())[::2])
        upkeep.cache.close()
"""


def test_two_writers_one_of_which_is_killed_again_and_again_leave_a_true_cache(tmp_path):
    library = Library(tmp_path)
    for number in range(10):
        library.add(f"{number}.mp4", clip_of((number, 6), (21, 6), (number, 3)))
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
    steady = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for wait in (0.02, 0.1):
            with subprocess.Popen(command, stdout=subprocess.PIPE) as mortal:
                assert mortal.stdout.readline() == b"up\n"
                time.sleep(wait)
                mortal.send_signal(signal.SIGKILL)
            library.upkeep.refresh()
            answer = told(library.ask(7))
            assert all(key == "7.mp4" or score < 0.5 for key, _, _, score in answer)
        assert steady.poll() is None
    finally:
        steady.kill()
        steady.wait()
    library.upkeep.refresh()
    fresh = library.new_upkeep("fresh")
    fresh.refresh()
    for concept in (3, 21):
        assert told(library.ask(concept)) == told(library.ask(concept, fresh))


def test_an_upgraded_library_and_one_with_shots_are_searched_alike(tmp_path):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    shots = upkeep_module.shots_of(library.store, library.store.manifest("clip_features", "a.mp4"), 0.9)
    assert isinstance(shots, Shots)
    assert Store(tmp_path / "output").manifest("shots", "a.mp4") is None
    library.upkeep.refresh()
    assert len(told(library.ask(0, per_video=1))) == 1


def test_a_question_after_which_nothing_changed_loads_no_index_anew(tmp_path):
    library = Library(tmp_path)
    library.add("a.mp4", content("a.mp4", 0))
    library.upkeep.refresh()
    library.ask(0)
    index = library.upkeep.cache.index(MODEL)
    library.ask(0)
    library.upkeep.refresh()
    assert library.upkeep.cache.index(MODEL) is index
