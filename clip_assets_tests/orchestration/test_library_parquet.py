"""The asset `library_parquet`: all videos in one set of files, judged by its own records, written where it is stale."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from clip_assets.orchestration.definitions import build_definitions
from clip_assets.settings import LibrarySettings
from clip_assets_tests.core.search.corpus import Library, clip_of

KEY = dg.AssetKey("library_parquet")
CHECK = dg.AssetCheckKey(KEY, "files_hold_what_is_stored")


@pytest.fixture
def library(tmp_path: Path) -> Library:
    made = Library(tmp_path)
    for number in range(120):  # above 100, where Dagster says fresh whatever happens
        made.add(f"{number:03d}.mp4", clip_of((0, 3), seed=number))
    return made


def run(library: Library, *selection: dg.AssetKey) -> dg.ExecuteInProcessResult:
    settings = LibrarySettings(
        videos=library.videos, output=str(library.store.root), export_parquet=library.folder / "exported"
    )
    definitions = build_definitions(settings)
    selected = dg.AssetSelection.assets(*selection) if selection else dg.AssetSelection.checks(CHECK)
    job = dg.define_asset_job("export", selection=selected)
    merged = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
    return merged.resolve_job_def("export").execute_in_process(raise_on_error=False)


def passed(result: dg.ExecuteInProcessResult) -> bool:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation.passed


def test_it_is_written_where_a_video_changed_and_its_check_tells_when_it_is_to_be(library: Library) -> None:
    first = run(library, KEY)
    assert passed(first)
    (materialization,) = first.asset_materializations_for_node("library_parquet")
    assert materialization.metadata["dagster/row_count"].value == 360
    assert materialization.metadata["files_written"].value == 1
    assert passed(run(library))
    again = run(library, KEY).asset_materializations_for_node("library_parquet")[0]
    assert again.metadata["files_written"].value == 0
    assert again.tags["dagster/data_version"] == materialization.tags["dagster/data_version"]

    changed = clip_of((1, 4), seed=7)
    library.compute("007.mp4", changed)
    assert not passed(run(library))
    assert passed(run(library, KEY))
    rows = pq.read_table(library.folder / "exported" / "data", filters=[("key", "=", "007.mp4")])
    assert rows["clip"].to_pylist() == changed.tolist()


def test_there_is_no_such_asset_unless_it_is_asked_for(tmp_path: Path) -> None:
    places = {"videos": tmp_path, "output": str(tmp_path)}
    graph = build_definitions(LibrarySettings(**places)).resolve_asset_graph()
    assert KEY not in graph.get_all_asset_keys()
    named = LibrarySettings(name="films", export_parquet=tmp_path / "exported", **places)
    graph = build_definitions(named).resolve_asset_graph()
    assert graph.get(dg.AssetKey(["films", *KEY.path])).parent_keys == {dg.AssetKey(["films", "clip_features"])}


def test_a_folder_of_something_else_fails_it_with_the_way_out(library: Library) -> None:
    (library.folder / "exported").mkdir()
    (library.folder / "exported" / "thesis.txt").touch()
    failures = run(library, KEY).filter_events(lambda event: event.is_step_failure)
    told = [event.step_failure_data.user_failure_data for event in failures]
    assert [one.description for one in told if one] == [
        f"{library.folder / 'exported'} isn't empty, and holds no export. Name another folder."
    ]
    assert [path.name for path in (library.folder / "exported").iterdir()] == ["thesis.txt"]
