"""Videos that lie in no folder: a source of a test's own goes the whole way that a folder goes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import dagster as dg
import pytest

from clip_assets import settings
from clip_assets.core.errors import OutsideLibraryError, VideoMissingError
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.listing import Listing, VideoFile
from clip_assets.core.library.named import Named
from clip_assets.core.library.signatures import Signature, signature_of
from clip_assets.core.library.source import VideoSource
from clip_assets.core.library.video_cache import VideoCache
from clip_assets.core.records import SourceStat
from clip_assets.orchestration import resources
from clip_assets.orchestration.in_process import Execution, Listener
from clip_assets.orchestration.instance import register
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.library_tick import Cursor, Look
from clip_assets.orchestration.run_plan import Asked, make_plan
from clip_assets.results.states import video_states
from clip_assets_tests.making import corpus
from clip_assets_tests.making.platform import ASSETS, Platform, make_platform


@dataclass(frozen=True)
class Shelf:
    """Files by names that have nothing to do with where they lie; a source of the least that is allowed."""

    files: Mapping[str, Path]
    is_local: ClassVar[bool] = True

    def where(self, key: str = "") -> str:
        return f"shelf://{key}"

    def listing(self, named: Collection[str] = ()) -> Listing:
        stats = {key: self.stat(key) for key in sorted(self.files)}
        return Listing(tuple(VideoFile(key, stat.size, stat.mtime_ns) for key, stat in stats.items()), ())

    def check_listable(self) -> None:
        pass

    def key_for(self, path: str | Path) -> str:
        raise OutsideLibraryError(f"{path} is not on the shelf.")

    @contextmanager
    def local(self, key: str, seen: SourceStat | None = None) -> Iterator[Path]:
        if key not in self.files:
            raise VideoMissingError(f"{key} is not on the shelf.")
        yield self.files[key]

    def expect(self, key: str, seen: SourceStat | None = None) -> None:
        pass

    def fingerprint(self, key: str, seen: SourceStat | None = None, *, will_be_read: bool = False) -> str:
        with self.local(key) as path:
            return fingerprint(path)

    def stat(self, key: str) -> SourceStat:
        with self.local(key) as path:
            stat = path.stat()
        return SourceStat(stat.st_size, stat.st_mtime_ns)

    def signatures(self, keys: Collection[str]) -> dict[str, Signature | None]:
        return {key: signature_of(self.stat(key)) if key in self.files else None for key in keys}

    def read(self, key: str, start: int, end: int) -> bytes:
        with self.local(key) as path:
            return path.read_bytes()[start:end]

    def is_gone(self, key: str) -> bool:
        return key not in self.files


class Told(Listener):
    """Remembers what became of each video."""

    def __init__(self) -> None:
        self.became: dict[str, str] = {}

    def done(self, key: str, frames: int | None) -> None:
        self.became[key] = f"{frames} frames"

    def failed(self, key: str, reason: str) -> None:
        self.became[key] = reason


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two videos elsewhere than in the folder that the settings name."""
    made = {"films/first": tmp_path / "0001.mp4", "films/second": tmp_path / "0002.mp4"}
    for path in made.values():
        corpus.single_frame(path)
    return made


@pytest.fixture
def platform(tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform whose videos lie on the shelf, as if the setting had named one."""

    def shelf(location: str | Path, cache: VideoCache) -> VideoSource:
        return Shelf(files)

    for module in (settings, resources):
        monkeypatch.setattr(module, "source_at", shelf)
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(tmp_path, instance)
        made.change(settle_seconds=0)
        yield made


def test_videos_of_any_source_are_listed_computed_and_recognised(platform: Platform, files: dict[str, Path]) -> None:
    plan = make_plan(platform.instance, platform.settings, Asked())
    assert plan.new == ["films/first", "films/second"]
    register(platform.instance, LibraryNames(), platform.settings.source, plan.new)
    told = Told()
    Execution(platform.instance, platform.settings, told).execute(plan.tasks)
    assert told.became == {"films/first": "1 frames", "films/second": "1 frames"}
    for key in files:
        made = [platform.store.manifest(asset, key) for asset in ASSETS]
        assert {manifest.parameters["source"] for manifest in made if manifest} == {fingerprint(files[key])}

    del files["films/first"]
    corpus.text_file(files["films/second"])
    found = {video.key: video.state for video in video_states(platform.settings, plan.new, {})}
    assert found == {"films/first": "gone", "films/second": "stale"}


def test_a_folder_of_any_source_can_be_named(platform: Platform) -> None:
    for name, meant in (("films", ["films/first", "films/second"]), ("films/second", ["films/second"])):
        plan = make_plan(platform.instance, platform.settings, Asked([Named.parse(name)]))
        assert [task.key for task in plan.tasks] == meant


def test_the_sensor_takes_videos_of_any_source(platform: Platform, files: dict[str, Path]) -> None:
    look = Look(platform.settings, platform.instance, platform.registered(), platform.settings.source.listing(), 1000.0)
    decision = look.decide(Cursor())
    assert {key: video.fingerprint for key, video in decision.requested.items()} == {
        key: fingerprint(path) for key, path in files.items()
    }
