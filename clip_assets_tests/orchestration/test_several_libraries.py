"""Several libraries in one instance, one process and one code location: none touches what is another's."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from clip_assets.core.records import ClipFeatures
from clip_assets.core.store import Store
from clip_assets.orchestration.definitions import build_definitions
from clip_assets.orchestration.in_process import Execution, Listener
from clip_assets.orchestration.instance import failures, held_keys, register, registered
from clip_assets.orchestration.library_names import LibraryNames
from clip_assets.orchestration.resources import _loaded
from clip_assets.orchestration.run_plan import Asked, make_plan
from clip_assets.results.assets import PER_VIDEO
from clip_assets.results.states import video_states
from clip_assets.settings import LibrarySettings, Settings
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_vit

KEY = "a.mp4"
COMMON = {"model_name": "custom", "device_ids": "cpu", "pictures": "off", "settle_seconds": 0, "pred_texts": ["red"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("libraries")
    (made / "videos").mkdir()
    corpus.single_frame(made / "videos" / KEY)
    corpus.single_frame(made / "videos" / "b.mp4")
    return made


@pytest.fixture(scope="module")
def plain(folder: Path) -> Settings:
    """The library without a name."""
    checkpoint = random_vit(folder / "plain.pth", seed=1)
    return Settings(videos=folder / "videos", output=str(folder / "output"), checkpoint=checkpoint, **COMMON)


@pytest.fixture(scope="module")
def films(folder: Path) -> LibrarySettings:
    """One with a name and another model, over the same videos."""
    output, checkpoint = str(folder / "output/films"), random_vit(folder / "films.pth", seed=2)
    return LibrarySettings(name="films", videos=folder / "videos", output=output, checkpoint=checkpoint, **COMMON)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def merged(plain: Settings, films: LibrarySettings) -> dg.Definitions:
    return dg.Definitions.merge(build_definitions(plain), build_definitions(films))


@pytest.fixture(scope="module")
def computed(
    merged: dg.Definitions, instance: dg.DagsterInstance, plain: Settings, films: LibrarySettings
) -> dict[str, list[int]]:
    """Both materialized a video, in turn, by one code location in this process; the models each loaded, by library."""
    _loaded.clear()
    used: dict[str, list[int]] = {"": [], "films": []}
    for settings in (plain, films, plain, films):
        names = LibraryNames.of(settings)
        register(instance, names, settings.source, [KEY])
        result = merged.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=names.keys(PER_VIDEO), partition_key=KEY, raise_on_error=False
        )
        assert result.success
        loaded = {which[1]: models for which, (_, models) in _loaded.items()}
        used[names.library].append(id(loaded[settings.checkpoint]))
    return used


def test_each_has_its_own_names_and_places(merged: dg.Definitions, films: LibrarySettings) -> None:
    keys = {key.to_user_string() for key in merged.resolve_asset_graph().get_all_asset_keys()}
    assets = {"video", *PER_VIDEO}
    assert keys == assets | {f"films/{asset}" for asset in assets}
    jobs = {job.name for job in merged.resolve_all_job_defs() if not job.name.startswith("__")}
    assert jobs == {"extract_clip_features", "match_texts", "films_extract_clip_features", "films_match_texts"}
    sensors = {sensor.name for sensor in merged.sensors or ()}
    assert sensors == {"video_library", "split_failed_batches", "films_video_library", "films_split_failed_batches"}
    assert {f"films_{part}" for part in ("gpu", "clip_model", "library", "io_manager")} <= set(merged.resources or {})
    assert LibrarySettings(name="films").output.endswith("output/films")
    groups = {spec.group_name for spec in merged.resolve_all_asset_specs() if spec.key.path[0] == "films"}
    assert groups == {"films"}


def test_each_stores_its_own_model_s_features_and_keeps_it_loaded(
    computed: dict[str, list[int]], plain: Settings, films: LibrarySettings
) -> None:
    found = [Store(settings.output).read("clip_features", KEY, ClipFeatures) for settings in (plain, films)]
    assert found[0].weights_sha256 != found[1].weights_sha256
    assert np.abs(found[0].clip - found[1].clip).max() > 1e-3
    assert [len(set(used)) for used in computed.values()] == [1, 1]  # the second run of each found its model


def test_what_is_true_of_one_is_not_told_of_the_other(
    computed: dict[str, list[int]], instance: dg.DagsterInstance, plain: Settings, films: LibrarySettings
) -> None:
    register(instance, LibraryNames.of(films), films.source, ["b.mp4"])
    told = {}
    for settings in (plain, films):
        names = LibraryNames.of(settings)
        states = video_states(settings, registered(instance, names), failures(instance, names))
        told[settings.name] = {video.key: video.state for video in states}
    assert told == {"": {KEY: "done"}, "films": {KEY: "done", "b.mp4": "missing"}}


@pytest.mark.parametrize(
    ("job", "assets", "held_by"),
    [
        (
            "extract_clip_features",
            (),
            [
                "",
            ],
        ),
        ("films_extract_clip_features", (), ["films"]),
        ("__ASSET_JOB", ("films", "clip_features"), ["films"]),
        ("__ASSET_JOB", ("clip_features",), [""]),
        ("of_the_user", (), ["", "films"]),
    ],
)
def test_a_run_holds_videos_of_its_library_alone(
    plain: Settings, films: LibrarySettings, job: str, assets: tuple[str, ...], held_by: list[str]
) -> None:
    selection = frozenset([dg.AssetKey(assets)]) if assets else None
    run = dg.DagsterRun(
        job,
        run_id=str(uuid.uuid4()),
        tags={"dagster/partition": KEY},
        status=dg.DagsterRunStatus.STARTED,
        asset_selection=selection,
    )
    with dg.DagsterInstance.ephemeral() as instance:
        names = [LibraryNames.of(settings) for settings in (plain, films)]
        for one in names:
            register(instance, one, plain.source, [KEY])
        instance.add_run(run)
        assert [one.library for one in names if held_keys(instance, one) == {KEY}] == held_by


def test_a_named_library_is_computed_from_a_terminal_too(
    computed: dict[str, list[int]], instance: dg.DagsterInstance, plain: Settings, films: LibrarySettings
) -> None:
    before = Store(plain.output).manifest("clip_features", "b.mp4")
    plan = make_plan(instance, films, Asked())
    register(instance, LibraryNames.of(films), films.source, plan.new)
    Execution(instance, films, Listener()).execute(plan.tasks)
    assert Store(films.output).manifest("clip_features", "b.mp4") is not None
    assert Store(plain.output).manifest("clip_features", "b.mp4") == before
    materialized = instance.get_materialized_partitions(dg.AssetKey(["films", "clip_features"]))
    assert "b.mp4" in materialized
    assert "b.mp4" not in instance.get_materialized_partitions(dg.AssetKey("clip_features"))
