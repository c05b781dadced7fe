"""The second bundled model is what its card says, and answers rightly wherever the first one does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from rich.console import Console
from safetensors import safe_open

from clip_assets.asking.library import Library
from clip_assets.browse.app import Served, create_app
from clip_assets.cli.show import as_text
from clip_assets.core.records import ClipFeatures, TextMatch
from clip_assets.demo import DEMO_MODELS, TEMPLATES, demo_clips, demo_sentences, sigmoid_demo
from clip_assets.demo.clips import CLIPS
from clip_assets.demo.train_sigmoid import measured, sentence_tokens
from clip_assets.models import load_model
from clip_assets.results.sections import sections
from clip_assets.results.states import video_states
from clip_assets_tests.browse.client import Client
from clip_assets_tests.making.platform import Platform, make_platform

SIGMOID = "open_clip:demo"
CLIP = next(clip for clip in CLIPS if clip.name == "shapes.mp4")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A clip, materialized with the first demo model, and then with the second."""
    folder = tmp_path_factory.mktemp("sigmoid")
    with dg.DagsterInstance.ephemeral() as instance:
        made = make_platform(folder, instance)
        (path,) = [path for path in demo_clips() if path.name == CLIP.name]
        (made.videos / CLIP.name).write_bytes(path.read_bytes())
        made.add(CLIP.name)
        made.change(model_name="demo", extraction_fps=2.0, pred_texts=list(demo_sentences()))
        assert made.materialize(CLIP.name).success
        yield made


@pytest.fixture(scope="module")
def by_the_second(platform: Platform) -> Platform:
    """The same, after the settings name the second model."""
    platform.change(model_name=SIGMOID)
    (before,) = video_states(platform.settings, [CLIP.name], {})
    assert (before.state, before.reason) == ("stale", f"made with demo, now {SIGMOID}")
    assert platform.materialize(CLIP.name).success
    (after,) = video_states(platform.settings, [CLIP.name], {})
    assert after.state == "done", after.reason
    return platform


def test_its_files_are_small_and_its_weights_half_precision() -> None:
    assert sum(path.stat().st_size for path in sigmoid_demo().iterdir()) < 2_500_000
    with safe_open(sigmoid_demo() / "open_clip_model.safetensors", "pt") as file:
        types = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - it is no mapping
    assert types <= {"F16", "I64"}


def test_unseen_frames_are_recognised_in_every_template_and_each_sentence_is_judged_by_itself() -> None:
    network = load_model(SIGMOID, weights_folder=Path()).network
    found = measured(network, sentence_tokens(sigmoid_demo()), 300)
    assert len(found) == len(TEMPLATES)
    assert min(best for best, _ in found) >= 0.95, found
    assert min(all_right for _, all_right in found) >= 0.85, found


def test_what_the_clip_shows_is_answered_rightly_and_nothing_else_is_likely(by_the_second: Platform) -> None:
    match = by_the_second.store.read("text_match", CLIP.name, TextMatch)
    assert match.score_kind == "sigmoid"
    frames = by_the_second.store.read("clip_features", CLIP.name, ClipFeatures).indices
    of_frames = [shown for shown in CLIP.stretches for _ in range(shown.frame_count)]
    for frame, probabilities in zip(frames, match.probabilities, strict=True):
        shown = of_frames[frame]
        right = demo_sentences().index(f"a photo of a {shown.colour} {shown.kind}")
        assert probabilities.argmax() == right
        assert probabilities[right] > 0.5
        assert np.delete(probabilities, right).max() < 0.5


def test_show_says_which_score_it_is(by_the_second: Platform) -> None:
    console = Console(width=160, file=io.StringIO())
    for part in as_text(CLIP.name, sections(by_the_second.store, CLIP.name)):
        console.print(part, soft_wrap=True)
    told = console.file.getvalue()
    assert "sigmoid: each sentence is judged by itself" in told
    assert "softmax: the sentences compete" not in told


def test_find_answers_by_each_model_of_its_own_library(by_the_second: Platform, demo_library: Path) -> None:
    first = by_the_second.settings.model_copy(update={"output": str(demo_library / "output"), "model_name": "demo"})
    for settings, kind in ((first, "softmax"), (by_the_second.settings, "sigmoid")):
        moments = [one for one in Library(settings).find("a blue square") if one.key == CLIP.name]
        assert (moments[0].from_ms, moments[0].to_ms) == (1750.0, 3750.0)
        assert moments[0].probability > 0.5
        assert moments[0].fits_better == ""
        assert {one.score_kind for one in moments} == {kind}
        assert all(one.probability < 0.5 for one in moments[1:])


def test_the_page_answers_by_both_and_the_switch_leads_from_one_to_the_other(
    by_the_second: Platform, demo_library: Path
) -> None:
    settings = by_the_second.settings
    first = settings.model_copy(update={"output": str(demo_library / "output"), "model_name": "demo"})
    second = settings.model_copy(update={"name": "second"})
    client = Client(create_app(first, others=[Served(second)]))
    asked = "/search?q=a%20blue%20square"
    for root, other, words in (
        ("", "/library/second", "beside other sentences it is"),
        ("/library/second", "", "by itself it is"),
    ):
        page = unescape(client.get(f"{root}{asked}&at=shapes.mp4%401.75-3.75").text)
        assert words in page
        assert f'href="{other}{asked}"' in page
    assert "sigmoid: each sentence" in client.get("/library/second/video/shapes.mp4").text


def test_the_demo_s_models_are_those_that_are_bundled() -> None:
    assert set(DEMO_MODELS) == {"demo", SIGMOID}
