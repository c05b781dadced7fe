"""Videos at a URL: in memory as in a bucket, and behind a web server."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from clip_assets.core.errors import (
    LibraryUnreadableError,
    OutsideLibraryError,
    PartitionKeyError,
    SettingsError,
    VideoChangedError,
    VideoMissingError,
    VideoNotFetchedError,
    VideoUnreadableError,
)
from clip_assets.core.library import fingerprints, remote_folder
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.remote_folder import RemoteFolder
from clip_assets.core.library.source import source_at
from clip_assets.core.library.video_cache import VideoCache
from clip_assets.core.video import probe
from clip_assets_tests.making import corpus

NAMES = itertools.count()


class Store(MemoryFileSystem):
    """In memory, as an object store is seen: each content has an ETag, and what is asked for is counted."""

    protocol = "counted"
    store: dict[str, Any] = {}  # noqa: RUF012 - as in the class above
    pseudo_dirs = [""]  # noqa: RUF012
    asked: Counter[str] = Counter()  # noqa: RUF012
    lacks: tuple[str, ...] = ()

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        self.asked["info"] += 1
        info = super().info(path, **kwargs)
        return self._told(info)

    def find(self, path: str, **kwargs: Any) -> Any:
        self.asked["find"] += 1
        return {name: self._told(info) for name, info in super().find(path, **kwargs).items()}

    def cat_file(self, path: str, start: Any = None, end: Any = None, **kwargs: Any) -> bytes:
        data: bytes = super().cat_file(path, start, end, **kwargs)
        self.asked["get"] += 1
        self.asked["bytes"] += len(data)
        return data

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        if info["type"] == "file":
            info = {**info, "ETag": f'"{hash(self.store[info["name"]].getvalue())}"'}
        return {name: value for name, value in info.items() if name not in self.lacks}


@pytest.fixture
def folder(tmp_path: Path) -> RemoteFolder:
    """An empty folder of a store, and an empty cache."""
    fsspec.register_implementation("counted", Store, clobber=True)
    Store.store.clear()
    Store.asked.clear()
    return RemoteFolder(f"counted://films{next(NAMES)}/", VideoCache(tmp_path / "cache", 2**30))


def put(folder: RemoteFolder, key: str, data: bytes) -> None:
    folder._filesystem.pipe_file(f"{folder._path}/{key}", data)


def test_listed_as_a_folder_is_and_without_asking_for_each(folder: RemoteFolder) -> None:
    hidden, others = (".hidden.mp4", ".trash/c.mp4"), ("notes.txt", "d.part")
    for key in ("a.mp4", "deep/er/B.MOV", "line\nbreak.mp4", "odd", *hidden, *others):
        put(folder, key, key.encode())
    Store.asked.clear()
    listing = folder.listing(named=["odd"])
    assert [video.key for video in listing.videos] == ["a.mp4", "deep/er/B.MOV", "odd"]
    assert [item.key for item in listing.unlisted] == ["line\nbreak.mp4"]
    assert listing.others == {".txt": 1, ".part": 1}
    assert Store.asked == {"find": 1}
    assert listing.videos[0].stat == folder.stat("a.mp4")
    assert listing.videos[0].stat.etag
    assert listing.videos[0].mtime_ns == 0


def test_nothing_there_is_not_an_empty_library(folder: RemoteFolder) -> None:
    for look in (folder.listing, folder.check_listable):
        with pytest.raises(LibraryUnreadableError, match=f"{folder.root} can't be read"):
            look()
    assert not folder.is_gone("a.mp4")  # for all that anybody knows


def test_keys_are_what_comes_after_the_url(folder: RemoteFolder) -> None:
    assert folder.key_for(folder.where("a/b c.mp4")) == "a/b c.mp4"
    with pytest.raises(OutsideLibraryError, match="not in the library"):
        folder.key_for("counted://elsewhere/a.mp4")
    with pytest.raises(PartitionKeyError):
        folder.key_for(f"{folder.root}/../a.mp4")
    with pytest.raises(PartitionKeyError):
        folder.stat("../a.mp4")


def test_what_is_missing_is_told_from_what_cannot_be_asked(
    folder: RemoteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "sub/a.mp4", b"a")
    assert folder.is_gone("b.mp4")
    assert folder.is_gone("sub")
    assert not folder.is_gone("sub/a.mp4")
    assert folder.signatures(["b.mp4"]) == {"b.mp4": None}
    with pytest.raises(VideoMissingError, match=r"b\.mp4 can't be read"), folder.local("b.mp4"):
        pass

    def unreachable(*args: object, **kwargs: object) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(Store, "info", unreachable)
    monkeypatch.setattr(Store, "find", unreachable)
    assert not folder.is_gone("b.mp4")
    with pytest.raises(VideoNotFetchedError, match="Access Denied"):
        folder.stat("sub/a.mp4")
    with pytest.raises(LibraryUnreadableError, match="Access Denied"):
        folder.listing()


@pytest.mark.parametrize("size", [0, 5, 1000, 1001, 4321])
def test_the_fingerprint_is_that_of_the_file(
    folder: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(fingerprints, "FINGERPRINT_BYTES", 1000 // 16 * 16)
    monkeypatch.setattr(remote_folder, "FINGERPRINT_BYTES", 1000 // 16 * 16)
    data = bytes(range(256)) * 20
    put(folder, "a.mp4", data[:size])
    (tmp_path / "a.mp4").write_bytes(data[:size])
    assert folder.fingerprint("a.mp4") == fingerprint(tmp_path / "a.mp4")
    assert Store.asked["bytes"] <= 1000
    Store.asked.clear()
    assert folder.fingerprint("a.mp4") == fingerprint(tmp_path / "a.mp4")
    assert Store.asked == {"info": 1}  # the ETag says that it needn't be read again


def test_a_video_is_downloaded_once_by_several_requests(folder: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_folder, "PART_BYTES", 1000)
    data = bytes(range(250)) * 39
    put(folder, "a.mp4", data)
    seen = folder.stat("a.mp4")
    folder.fingerprint("a.mp4", seen, will_be_read=True)
    for _ in range(2):
        with folder.local("a.mp4", seen) as path:
            assert path.read_bytes() == data
            assert path.suffix == ".mp4"
    assert Store.asked["get"] == 10
    assert Store.asked["bytes"] == len(data)


def test_the_next_video_is_fetched_meanwhile(folder: RemoteFolder) -> None:
    put(folder, "a.mp4", b"a")
    seen = folder.stat("a.mp4")
    folder.expect("a.mp4", seen)
    for thread in threading.enumerate():
        if thread.name == "fetch":
            thread.join(10)
    assert Store.asked["get"] == 1
    with folder.local("a.mp4", seen) as path:
        assert path.read_bytes() == b"a"
    assert Store.asked["get"] == 1
    folder.expect("gone.mp4")  # whoever reads it finds out


@pytest.mark.parametrize("then", [b"another", b"longer than before"])
def test_a_video_that_changes_while_it_is_downloaded_fails_with_that_reason(
    folder: RemoteFolder, monkeypatch: pytest.MonkeyPatch, then: bytes
) -> None:
    put(folder, "a.mp4", b"content")
    read = Store.cat_file

    def change(self: Store, path: str, *args: Any, **kwargs: Any) -> bytes:
        data = read(self, path, *args, **kwargs)
        put(folder, "a.mp4", then)
        return data

    monkeypatch.setattr(Store, "cat_file", change)
    with pytest.raises(VideoChangedError, match=r"films\d+/a\.mp4 changed while it was downloaded"):
        folder.fingerprint("a.mp4")
    monkeypatch.setattr(Store, "cat_file", read)
    with folder.local("a.mp4") as path:
        assert path.read_bytes() == then
    with pytest.raises(VideoChangedError), folder.local("a.mp4", remote_folder.SourceStat(3, 0, "other")):
        pass


def test_whoever_reads_a_copy_hears_of_the_video(folder: RemoteFolder) -> None:
    put(folder, "a.mp4", b"no video at all")
    with pytest.raises(VideoUnreadableError, match=rf"^{folder.root}/a\.mp4"), folder.local("a.mp4") as path:
        probe(path)


def test_a_store_without_etags_tells_the_time(folder: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder, "a.mp4", b"a")
    monkeypatch.setattr(Store, "lacks", ("ETag",))
    stat = folder.stat("a.mp4")
    assert (stat.etag, stat.mtime_ns > 10**18) == ("", True)
    assert folder.listing().videos[0].stat == stat
    monkeypatch.setattr(Store, "lacks", ("ETag", "size"))
    with pytest.raises(VideoNotFetchedError, match="size isn't told"):
        folder.stat("a.mp4")


def test_many_are_listed_and_few_are_asked_for(folder: RemoteFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_folder, "LISTED_FROM", 3)
    for key in "abc":
        put(folder, f"{key}.mp4", key.encode())
    Store.asked.clear()
    few, many = folder.signatures(["a.mp4", "z.mp4"]), folder.signatures(["a.mp4", "b.mp4", "z.mp4"])
    assert Store.asked == {"info": 2, "find": 1}
    assert few["a.mp4"] == many["a.mp4"] == (1, 0, folder.stat("a.mp4").etag)
    assert few["z.mp4"] is many["z.mp4"] is None
    monkeypatch.setattr(Store, "lacks", ("ETag",))
    listed = {video.key: video.signature for video in folder.listing().videos}
    assert listed == folder.signatures(list(listed)), "whoever has listed need not ask again"


def test_a_package_that_is_lacking_is_named_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    source = source_at("gs://films")  # cheap, and looks at nothing
    with pytest.raises(SettingsError, match=r"clip_assets\[gcs\]"):
        source.listing()


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder; knows no ranges, tells no ETag and lists a folder as a page of links, as many servers do."""

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_web_server_s_folder(tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "a b").mkdir(parents=True)
    corpus.single_frame(served / "a b" / "ü #1.mp4")
    (served / "notes.txt").write_text("x")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        videos = source_at(f"http://127.0.0.1:{server.server_port}", VideoCache(tmp_path / "cache"))
        (video,) = videos.listing().videos
        original = served / video.key
        assert video.key == "a b/ü #1.mp4"
        assert videos.key_for(videos.where(video.key)) == video.key
        assert video.size == original.stat().st_size
        assert video.stat == videos.stat(video.key)
        with videos.local(video.key) as path:
            assert path.read_bytes() == original.read_bytes()
        assert videos.fingerprint(video.key) == fingerprint(original)
        assert videos.read(video.key, 2, 10) == original.read_bytes()[2:10]
        assert videos.is_gone("b.mp4")
    finally:
        server.shutdown()
        server.server_close()
