import itertools
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from clip_assets.core.errors import ResultCorruptError, ResultMissingError, StoreError
from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import files as store_files
from clip_assets.core.store.store import TRASH, Store

ASSET = "clip_features"
KEY = "sports/lifting.mp4"
FORMATS = ["numpy", "pickle"]

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals, limits and locks of POSIX")


def record(number: int, frames: int | None = None) -> ClipFeatures:
    """A record whose every field tells its number."""
    times = np.arange(1 + number % 7 if frames is None else frames) + float(number)
    clip = np.full((len(times), 64), number, np.float32)
    return ClipFeatures(clip, times, times, times.astype(np.int64), float(number), f"m{number}", "0" * 64, str(number))


def number_of(features: ClipFeatures) -> int:
    """The number of a record, all of whose fields agree on it."""
    expected = record(int(features.fps), len(features.timestamps_ms))
    np.testing.assert_array_equal(features.clip, expected.clip)
    np.testing.assert_array_equal(features.timestamps_ms, expected.timestamps_ms)
    np.testing.assert_array_equal(features.source_timestamps_ms, expected.source_timestamps_ms)
    np.testing.assert_array_equal(features.indices, expected.indices)
    assert (features.model_name, features.damage) == (expected.model_name, expected.damage)
    return int(features.fps)


def write(store: Store, number: int, **options) -> None:
    store.write(ASSET, KEY, record(number, **options), data_version=str(number), parameters={"number": number})


def read_whole(store: Store) -> int | None:
    """The number of the stored record; None when it is absent. Anything between the two raises."""
    manifest = store.manifest(ASSET, KEY)
    if manifest is None:
        with pytest.raises(ResultMissingError):
            store.read(ASSET, KEY, ClipFeatures)
        return None
    number = number_of(store.read(ASSET, KEY, ClipFeatures))
    assert manifest.data_version == str(number)
    return number


def leftovers(root: Path) -> list[Path]:
    return list(root.rglob("*.tmp"))


# Called in other processes


def write_in_turns(root: str, first: int, count: int, can_lock: bool = True) -> None:
    """Store the records ``first`` and up one after the other in alternating formats."""
    if not can_lock:
        store_files._flock = lambda descriptor, operation: False
    for number in range(first, first + count):
        write(Store(root, FORMATS[number % 2]), number)


def fork_writers(root: str) -> None:
    """For each line of input start a writer, which tells its pid after its first record, and tell when it has died."""
    for number, _ in enumerate(sys.stdin):
        pid = os.fork()
        if pid == 0:
            write_in_turns(root, first=1000 * number, count=1)
            tell(os.getpid())
            write_in_turns(root, first=1000 * number + 1, count=10**9)
        os.waitpid(pid, 0)
        tell("dead")


def tell(message: object) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


def call_elsewhere(function, *arguments) -> subprocess.Popen:
    """Call a function of this module in a new process."""
    code = f"from {__name__} import {function.__name__} as call; call(*{arguments!r})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.cluster
@posix_only
def test_a_partition_is_whole_or_absent_whenever_its_writer_is_killed(tmp_path):
    store = Store(tmp_path)
    delays = random.Random(0)
    seen = Counter()
    with call_elsewhere(fork_writers, str(tmp_path)) as spawner:
        for _ in range(60):
            spawner.stdin.write("\n")
            spawner.stdin.flush()
            pid = int(spawner.stdout.readline())
            time.sleep(delays.uniform(0, 0.02))
            os.kill(pid, signal.SIGKILL)
            assert spawner.stdout.readline() == "dead\n"
            seen["absent" if read_whole(store) is None else "whole"] += 1
            seen["interrupted"] += bool(leftovers(tmp_path))
        spawner.stdin.close()
    assert seen["whole"] > 0
    assert seen["interrupted"] > 0  # else the kills came at moments that prove nothing
    write(store, 1)
    assert read_whole(store) == 1
    assert leftovers(tmp_path) == []


@pytest.mark.cluster
@posix_only
@pytest.mark.parametrize("can_lock", [True, False])
def test_two_writers_of_one_partition_never_let_a_reader_see_a_mixture(tmp_path, can_lock):
    store = Store(tmp_path)
    writers = [call_elsewhere(write_in_turns, str(tmp_path), first, 200, can_lock) for first in (0, 10_001)]
    seen = Counter()
    while any(writer.poll() is None for writer in writers):
        try:
            number_of(store.read(ASSET, KEY, ClipFeatures))
            seen["whole"] += 1
        except (ResultMissingError, ResultCorruptError) as error:
            seen[type(error).__name__] += 1
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0  # neither took away a temporary file that the other was writing
    assert seen["whole"] > 0
    assert leftovers(tmp_path) == []
    if can_lock:
        assert read_whole(store) in {199, 10_200}
    write(store, 1)
    assert read_whole(store) == 1


class Killed(BaseException):
    """Stands for the end of the process."""


def die_before(monkeypatch, step: int) -> None:
    """Let this and every later change of a file, by the disk or in memory, raise, as after a kill."""
    done = itertools.count()

    def mortal(change):
        def changed(*args, **kwargs):
            if next(done) >= step:
                raise Killed
            return change(*args, **kwargs)

        return changed

    for owner, names in (
        (Path, ("write_bytes", "unlink", "replace", "rmdir")),
        (MemoryFileSystem, ("pipe_file", "rm_file")),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, mortal(getattr(owner, name)))


@pytest.fixture(params=["local", "memory"])
def new_root(request, tmp_path):
    return lambda: tmp_path / uuid.uuid4().hex if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def outcomes_of_dying(new_root, action, observe, form="numpy") -> list:
    """What is observed of a stored record 1 after the action died before its first, second, ... last step."""
    outcomes = []
    for step in itertools.count():
        root = new_root()
        write(Store(root, "numpy"), 1)
        with pytest.MonkeyPatch.context() as monkeypatch:
            die_before(monkeypatch, step)
            try:
                action(Store(root, form))
                has_died = False
            except Killed:
                has_died = True
        outcomes.append(observe(Store(root)))
        if not has_died:
            return outcomes
    raise AssertionError


@pytest.mark.parametrize("form", FORMATS)
def test_a_write_that_dies_before_any_step_leaves_the_old_the_new_or_nothing(new_root, form):
    outcomes = outcomes_of_dying(new_root, lambda store: write(store, 2), read_whole, form)
    assert [number for number, _ in itertools.groupby(outcomes)] == [1, None, 2]


def test_a_deletion_that_dies_before_any_step_leaves_all_or_nothing(new_root):
    outcomes = outcomes_of_dying(new_root, lambda store: store.delete(ASSET, KEY), read_whole)
    assert [number for number, _ in itertools.groupby(outcomes)] == [1, None]


def test_a_move_to_the_trash_that_dies_before_any_step_loses_nothing(new_root):
    outcomes = outcomes_of_dying(
        new_root,
        lambda store: store.move_to_trash(ASSET, KEY),
        lambda store: (read_whole(store), read_whole(Store(store.root / TRASH))),
    )
    assert [pair for pair, _ in itertools.groupby(outcomes)] == [(1, None), (1, 1), (None, 1)]


@posix_only
def test_a_full_disk_leaves_the_old_result_and_no_remains(tmp_path):
    import resource

    store = Store(tmp_path)
    write(store, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(StoreError, match=rf"{ASSET}/{KEY} can't be written: .*File too large"):
            write(store, 2, frames=1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert read_whole(store) == 1
    assert leftovers(tmp_path) == []


def test_a_failure_while_renaming_leaves_nothing_rather_than_a_mixture(tmp_path, monkeypatch):
    store = Store(tmp_path)
    write(store, 1)
    replace = Path.replace

    def failing(path, target):
        if target.name == "indices.npy":
            raise OSError(5, "Input/output error")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with pytest.raises(StoreError, match="Input/output error"):
            write(store, 2)
    assert read_whole(store) is None
    assert leftovers(tmp_path) == []
    write(store, 3)
    assert read_whole(store) == 3


@pytest.mark.parametrize(
    ("can_lock", "age_seconds", "is_removed"), [(True, 0, True), (False, 0, False), (False, 4000, True)]
)
def test_temporary_files_go_once_their_writer_is_gone(tmp_path, monkeypatch, can_lock, age_seconds, is_removed):
    if not can_lock:
        monkeypatch.setattr(store_files, "_flock", lambda descriptor, operation: False)
    elif sys.platform == "win32":
        pytest.skip("Windows has no locks for directories")
    store = Store(tmp_path)
    write(store, 1)
    remains = tmp_path / ASSET / KEY / ".clip.npy.0123456789abcdef.tmp"
    remains.write_bytes(b"half")
    os.utime(remains, (time.time() - age_seconds,) * 2)
    write(store, 2)
    assert remains.exists() is not is_removed
    assert read_whole(store) == 2


def test_files_of_others_in_a_partition_stay(new_root):
    store = Store(new_root())
    write(store, 1)
    for name in ("note.txt", "below/clip.npy"):
        path = store.path(ASSET, KEY) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    write(store, 2)
    store.delete(ASSET, KEY)
    for name in ("note.txt", "below/clip.npy"):
        assert (store.path(ASSET, KEY) / name).read_bytes() == b"mine"


@posix_only
def test_a_writer_starts_again_when_its_directory_was_cleared_while_it_waited(tmp_path, monkeypatch):
    store = Store(tmp_path)
    flock, cleared = store_files._flock, []

    def slow(descriptor, operation):
        if not cleared:
            cleared.append(True)
            store.delete(ASSET, KEY)
        return flock(descriptor, operation)

    monkeypatch.setattr(store_files, "_flock", slow)
    write(store, 1)
    assert cleared == [True]
    assert read_whole(store) == 1


def test_an_unlistable_directory_is_an_error_and_not_an_empty_store(tmp_path, monkeypatch):
    store = Store(tmp_path)
    write(store, 1)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(StoreError, match=r"clip_features can't be listed: .*Permission denied"):
        list(store.keys(ASSET))
