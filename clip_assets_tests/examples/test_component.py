"""The example of a project of `dg`: Dagster and the commands read the same two libraries from its files."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from clip_assets.libraries import Declaration, declared_libraries
from clip_assets.results.assets import PER_VIDEO

EXAMPLE = Path(__file__).parents[2] / "examples" / "component"


@pytest.fixture
def definitions(monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    monkeypatch.syspath_prepend(EXAMPLE)
    return dg.load_from_defs_folder(path_within_project=EXAMPLE / "films_platform")


def test_each_file_of_the_example_declares_a_library_under_names_of_its_own(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {f"{prefix}/{asset}" for prefix in ("films", "media/previews") for asset in ("video", *PER_VIDEO)}


def test_the_commands_read_the_same_settings_as_dagster(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = {name: declaration.settings() for name, declaration in declared_libraries(EXAMPLE).items()}
    assert list(declared) == ["films", "previews"]
    for name, settings in declared.items():
        assert definitions.resources[f"{name}_library"].root == str(settings.videos)
        assert definitions.resources[f"{name}_io_manager"].base_path == str(EXAMPLE / "output" / name)
    monkeypatch.setenv("PREVIEWS", "/elsewhere")
    by_name = Declaration("a", Path("defs.yaml"), {"videos": "{{ env.PREVIEWS }}"}, EXAMPLE)
    for declaration in (declared_libraries(EXAMPLE)["previews"], by_name):
        assert declaration.settings().videos == "/elsewhere"
