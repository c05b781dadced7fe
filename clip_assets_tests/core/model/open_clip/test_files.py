"""Which files a model is made of: its identity is of all of them, and none is taken that isn't the right one."""

from __future__ import annotations

import json
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from clip_assets.core.errors import ModelAbsentError, ModelError
from clip_assets.core.model.open_clip import catalogue
from clip_assets.core.model.open_clip.names import InFolder, OnHub, Published, parse
from clip_assets.models import fetch_model, load_model, model_sha256, weights_are_here
from clip_assets_tests.making.open_clip_models import ARCHITECTURES, SIGLIP_PICTURES, weights_of, write_model

COMMIT, OTHER = "1" * 40, "2" * 40


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("siglip"), ARCHITECTURES["siglip"], SIGLIP_PICTURES)


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub's, and no network."""
    cache = tmp_path_factory.mktemp("hub")
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *where, **more: _cached(cache, *where, **more)
    )

    def no_network(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("no network here")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", no_network)
    return cache


def _cached(cache: Path, repository: str, file: str, revision: str | None = None) -> object:
    from huggingface_hub import file_download

    return file_download.try_to_load_from_cache(repository, file, cache_dir=cache, revision=revision)


def put(cache: Path, repository: str, files: Path, commit: str = COMMIT) -> Path:
    """Let a repository be in the cache, its main branch at a commit; the folder of that."""
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in files.iterdir():
        (snapshot / path.name).write_bytes(path.read_bytes())
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs" / "main").write_text(commit)
    return snapshot


def named(folder: Path) -> str:
    return f"open_clip:local-dir:{folder}"


def test_a_name_means_a_published_model_a_repository_or_a_folder() -> None:
    assert parse("open_clip:ViT-B-32/datacomp_xl_s13b_b90k") == Published("ViT-B-32", "datacomp_xl_s13b_b90k")
    assert parse("open_clip:hf-hub:timm/ViT-B-16-SigLIP2") == OnHub("timm/ViT-B-16-SigLIP2", None)
    assert parse("open_clip:hf-hub:timm/some@v2") == OnHub("timm/some", "v2")
    assert parse("open_clip:local-dir:/a:b/c") == InFolder(Path("/a:b/c"))


@pytest.mark.parametrize("name", ["", "ViT-B-32", "hf-hub:alone", "local-dir:", "other:a/b", "/tag"])
def test_another_name_says_what_is_allowed(name: str) -> None:
    with pytest.raises(ModelError, match=r"open_clip:hf-hub:OWNER/NAME, open_clip:local-dir:FOLDER"):
        model_sha256(f"open_clip:{name}")


@pytest.mark.parametrize("file", ["open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"])
def test_an_edit_of_any_file_makes_another_identity(file: str, siglip: Path, tmp_path: Path) -> None:
    for path in siglip.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = model_sha256(named(tmp_path))
    assert before == model_sha256(named(siglip)), "where it lies doesn't matter"
    if file == "open_clip_config.json":
        config = json.loads((tmp_path / file).read_text())
        config["preprocess_cfg"]["mean"] = [0.4, 0.5, 0.5]
        (tmp_path / file).write_text(json.dumps(config))
    else:
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert model_sha256(named(tmp_path)) != before


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("open_clip_config.json", "open_clip_config.json isn't there"),
        ("open_clip_model.safetensors", "should hold one file of weights"),
        ("tokenizer.json", "lacks the tokenizer's files"),
    ],
)
def test_a_file_that_is_missing_is_named(file: str, told: str, siglip: Path, tmp_path: Path) -> None:
    for path in siglip.iterdir():
        if path.name != file:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match=told):
        load_model(named(tmp_path), weights_folder=tmp_path)
    assert not weights_are_here(named(tmp_path), folder=tmp_path)


@pytest.mark.parametrize("lacking", ["mean", "resize_mode"])
def test_preprocessing_that_would_be_guessed_is_refused(lacking: str, siglip: Path, tmp_path: Path) -> None:
    for path in siglip.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "open_clip_config.json").read_text())
    del config["preprocess_cfg"][lacking]
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"lacks {lacking}: how pictures are prepared would be guessed"):
        model_sha256(named(tmp_path))


def test_a_checkpoint_beside_it_is_refused(siglip: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="weights of its own"):
        load_model(named(siglip), checkpoint=tmp_path / "x.pth", weights_folder=tmp_path)


def test_what_is_in_the_hub_s_cache_is_taken_from_there_and_a_moved_branch_is_another_model(
    hub: Path, siglip: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = "open_clip:hf-hub:some/model"
    put(hub, "some/model", siglip)
    put(hub, "some/tokenizer", siglip)
    first = fetch_model(name)
    assert first == model_sha256(named(siglip))
    assert weights_are_here(name, folder=hub)

    moved = write_model(tmp_path_factory.mktemp("moved"), ARCHITECTURES["siglip"], SIGLIP_PICTURES, seed=1)
    put(hub, "some/model", moved, OTHER)
    assert fetch_model(name) == model_sha256(named(moved)) != first
    assert fetch_model(f"{name}@{COMMIT}") == first


def test_a_tokenizer_in_the_model_s_repository_is_of_its_commit(hub: Path, siglip: Path, tmp_path: Path) -> None:
    config = {**ARCHITECTURES["siglip"]}
    config["text_cfg"] = {**config["text_cfg"], "hf_tokenizer_name": "some/model"}
    before = write_model(tmp_path / "before", config, SIGLIP_PICTURES)
    put(hub, "some/model", before)
    name = f"open_clip:hf-hub:some/model@{COMMIT}"
    first = fetch_model(name)
    (before / "tokenizer.json").write_text((before / "tokenizer.json").read_text().replace("circle", "cycle"))
    put(hub, "some/model", before, OTHER)
    assert fetch_model(name) == first != fetch_model("open_clip:hf-hub:some/model")


def test_without_network_the_error_names_the_file_and_the_way_without_it(hub: Path, siglip: Path) -> None:
    name = "open_clip:hf-hub:some/model"
    with pytest.raises(ModelAbsentError, match="isn't on this machine yet"):
        model_sha256(name)
    with pytest.raises(ModelError, match=r"open_clip_config\.json of some/model can't be downloaded: no network here"):
        fetch_model(name)
    weights_of(put(hub, "some/model", siglip)).unlink()
    with pytest.raises(ModelError, match=r"`hf download some/model` puts it .*local-dir:FOLDER"):
        fetch_model(name)


def test_what_is_not_in_the_cache_is_downloaded_at_the_configuration_s_commit(
    hub: Path, siglip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    snapshot = put(hub, "some/model", siglip)
    weights_of(snapshot).unlink()
    put(hub, "some/tokenizer", siglip)

    def download(repository: str, file: str, revision: str | None = None) -> str:
        asked.append((repository, file, revision))
        (snapshot / file).write_bytes(weights_of(siglip).read_bytes())
        return str(snapshot / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert fetch_model("open_clip:hf-hub:some/model") == model_sha256(named(siglip))
    assert asked == [("some/model", "open_clip_model.safetensors", COMMIT)]


def test_a_published_name_that_there_is_not_suggests_near_ones() -> None:
    with pytest.raises(ModelError, match=r"Near: .*open_clip:ViT-B-32/datacomp_xl_s13b_b90k"):
        model_sha256("open_clip:ViT-B-32/datacomp_xl_s13b_b90")
    with pytest.raises(ModelError, match=r"Near: open_clip:ViT-B-32/"):
        model_sha256("open_clip:ViT-B-32/nothing like it")


def test_a_pair_that_disagrees_on_quickgelu_is_refused_with_the_right_name(hub: Path) -> None:
    disagree = 0
    for name, known in catalogue.listing().items():
        architecture, _, tag = name.partition("/")
        if known.quick_gelu == bool(catalogue.architecture_config(architecture).get("quick_gelu")):
            continue
        disagree += 1
        with pytest.raises(ModelError, match=r"(The right name is open_clip:|Put the model into a folder)") as caught:
            model_sha256(f"open_clip:{name}")
        if known.quick_gelu and f"{architecture}-quickgelu/{tag}" in catalogue.listing():
            assert f"open_clip:{architecture}-quickgelu/{tag}." in str(caught.value)
    assert disagree >= 19
    with pytest.raises(ModelAbsentError):
        model_sha256("open_clip:ViT-B-32-quickgelu/metaclip_400m")


def test_a_listed_repository_with_the_other_activation_is_refused(hub: Path) -> None:
    repository = catalogue.listing()["ViT-B-16-quickgelu/dfn2b"].repository
    folder = write_model(hub / "made", ARCHITECTURES["vit_gelu"])
    snapshot = put(hub, repository, folder)
    for name in (f"open_clip:hf-hub:{repository}", named(snapshot)):
        with pytest.raises(ModelError, match=r"would compute GELU, and open_clip says .* QuickGELU"):
            model_sha256(name)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, siglip: Path) -> None:
    monkeypatch.setattr(catalogue.importlib.util, "find_spec", lambda name: None)
    catalogue.listing.cache_clear()
    for name in (named(siglip), "open_clip:ViT-B-32/openai"):
        with pytest.raises(ModelError, match=r"pip install 'clip_assets\[open-clip\]'"):
            load_model(name, weights_folder=siglip)
