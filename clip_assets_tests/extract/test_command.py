"""The command as people call it: files, printout, exit codes, and the same bytes as the assets."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import numpy as np
import pytest
import torch

from clip_assets.cli import main
from clip_assets.core.records import VideoProbe
from clip_assets.core.sampling import Sampling, sample
from clip_assets.core.video import probe
from clip_assets.demo import demo_clips
from clip_assets.extract import extraction
from clip_assets_tests.extract.conftest import CHECKPOINT, Extract
from clip_assets_tests.making import corpus
from clip_assets_tests.making.checkpoints import random_resnet
from clip_assets_tests.making.platform import Platform, make_platform

BOTH = "video_paths=[./a.mp4, ./b.mp4]"
COMMANDS = [
    ["feature_type=clip", "extraction_fps=1", "video_paths=[./a.mp4]", "on_extraction=print"],
    ["feature_type=clip", "device_ids=[cpu, cpu]", BOTH],
    ["feature_type=clip", "on_extraction=save_numpy", "file_with_video_paths=./paths.txt"],
    ["feature_type=clip", "batch_size=128", BOTH],
    ["feature_type=clip", "extraction_fps=5", BOTH],
    [
        "feature_type=clip",
        "extraction_fps=1",
        "pred_texts=['a dog smiles', 'a man is lifting']",
        "show_pred=true",
        BOTH,
    ],
    ["feature_type=clip", "video_paths=./a.mp4"],
]


def saved(stem: str, folder: str = "output") -> dict[str, np.ndarray]:
    return {name: np.load(Path(folder) / f"{stem}_{name}.npy") for name in ("clip", "fps", "timestamps_ms")}


@pytest.mark.parametrize("model_name", ["custom", "demo"])
@pytest.mark.parametrize("command", COMMANDS, ids=range(1, 8))
def test_the_documented_commands_run_as_written(
    workdir: Path, extract: Extract, command: list[str], model_name: str
) -> None:
    (workdir / "paths.txt").write_text("./a.mp4\n./b.mp4\n")
    outcome = extract(*command, f"model_name={model_name}")
    assert outcome.code == 0, outcome.err
    if "on_extraction=save_numpy" in command:
        assert outcome.out == ""
        assert {path.name for path in Path("output").iterdir()} == {
            f"{stem}_{end}" for stem in "ab" for end in ("clip.npy", "timestamps_ms.npy", "fps.npy", "clip.json")
        }
    else:
        assert outcome.out.count("clip\n[[") == outcome.out.count("fps\n") == (2 if BOTH in command else 1)
        assert not Path("output").exists()


def test_predictions_are_printed_per_video_in_the_order_given(extract: Extract) -> None:
    out = extract(*COMMANDS[5]).out
    assert re.findall("Video.*|^frame [01](?=: )", out, re.MULTILINE) == [
        *("Video #0: a dog smiles | a man is lifting", "frame 0", "frame 1"),
        *("Video #1: a dog smiles | a man is lifting", "frame 0", "frame 1"),
    ]
    rows = np.array([json.loads(row) for row in re.findall(r"^frame \d: (.*)", out, re.MULTILINE)])
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-12)


def test_without_sentences_the_five_best_of_400_are_shown(extract: Extract) -> None:
    out = extract("show_pred=true", "extraction_total=2", "pred_format=csv", "a.mp4").out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 10
    assert all(row["text"].startswith("a photo of ") for row in rows)
    probabilities = np.array([float(row["probability"]) for row in rows]).reshape(2, 5)
    assert (np.diff(probabilities, axis=1) <= 0).all()
    assert extract("show_pred=true", "extraction_total=2", "a.mp4").out.count("  Logits | Prob. | Label\n") == 2


def test_the_demo_model_names_what_its_clip_shows(extract: Extract) -> None:
    clip = next(path for path in demo_clips() if path.name == "shapes.mp4")
    texts = "pred_texts=[a red circle, a blue square, a green triangle]"
    out = extract("model_name=demo", "extraction_fps=1", "show_pred=true", "pred_format=json", texts, str(clip)).out
    (video,) = json.loads(out)
    best = [max(frame["matches"], key=lambda match: match["probability"])["text"] for frame in video["frames"]]
    assert [best[0], best[-1]] == ["a red circle", "a green triangle"]
    assert set(best) == {"a red circle", "a blue square", "a green triangle"}


def test_a_document_for_programs_holds_nothing_else(extract: Extract) -> None:
    out = extract(
        "show_pred=true", "pred_format=json", "pred_texts=[one, two]", "extraction_total=3", "a.mp4", "b.mp4"
    ).out
    assert [(video["video"], len(video["frames"])) for video in json.loads(out)] == [("a.mp4", 3), ("b.mp4", 3)]


def test_saved_features_are_those_of_the_assets_byte_by_byte(workdir: Path, extract: Extract, tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        platform: Platform = make_platform(tmp_path, instance)
        platform.change(checkpoint=workdir / CHECKPOINT, extraction_fps=5.0)
        for name in ("a.mp4", "b.mp4"):
            shutil.copy(workdir / name, platform.videos / name)
            platform.add(name)
            assert platform.materialize(name, assets=["frame_indices", "clip_features"]).success
            assert extract("on_extraction=save_numpy", "extraction_fps=5", name).code == 0
            stored, stem = platform.store.path("clip_features", name), name.removesuffix(".mp4")
            for array in ("clip", "timestamps_ms", "fps"):
                assert (stored / f"{array}.npy").read_bytes() == Path(f"output/{stem}_{array}.npy").read_bytes()
            note = json.loads(Path(f"output/{stem}_clip.json").read_text())
            assert note["parameters"].pop("feature_dtype") == "float32"
            assert note["parameters"] == platform.store.manifest("clip_features", name).parameters


def test_of_what_is_heavy_help_imports_nothing_and_an_extraction_torch_and_the_decoder_alone(workdir: Path) -> None:
    code = (
        "import sys; from clip_assets.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as end: code = end.code\n"
        "sys.stderr.write(' '.join(sys.modules)); sys.exit(code)"
    )

    def modules(*argv: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True)
        return set(done.stderr.splitlines()[-1].split())

    heavy = {"dagster", "torch", "torchvision", "clip", "av", "decord", "pandas", "fsspec"}
    heavy |= {"torch._dynamo", "sympy", "pkg_resources"}  # torch's compiler, and what OpenAI's package asks for
    assert not heavy & modules("--help")
    assert not heavy & modules("extract", "--help")
    texts = ("show_pred=true", 'pred_texts=["a red circle"]')
    extracted = modules("extract", "model_name=custom", "cpu=true", "extraction_total=1", "a.mp4", *texts)
    assert heavy & extracted == {"torch", "av"}


def test_times_and_rate_of_each_sampling(extract: Extract) -> None:
    source = probe(Path("b.mp4"))
    for argv, sampling, fps in [
        ((), Sampling(), source.fps),
        (("extraction_fps=5",), Sampling(5.0), source.fps),
        (("extraction_total=4",), Sampling(extraction_total=4), source.fps),
        (("extraction_fps=5", "frame_selection=ffmpeg"), Sampling(5.0, None, "ffmpeg"), 5.0),
    ]:
        assert extract("on_extraction=save_numpy", "--force", "b.mp4", *argv).code == 0
        arrays = saved("b")
        np.testing.assert_array_equal(arrays["timestamps_ms"], sample(source, sampling).timestamps_ms)
        assert (arrays["fps"], arrays["fps"].shape, arrays["fps"].dtype) == (fps, (), np.float64)
        assert arrays["clip"].shape == (len(arrays["timestamps_ms"]), 48)


def test_features_are_saved_in_the_format_and_precision_asked_for(extract: Extract) -> None:
    extract("on_extraction=save_numpy", "a.mp4")
    assert saved("a")["clip"].dtype == np.float32
    assert extract("on_extraction=save_pickle", "feature_dtype=float64", "output_path=p", "a.mp4").code == 0
    clip = pickle.loads(Path("p/a_clip.pkl").read_bytes())
    assert clip.dtype == np.float64
    np.testing.assert_array_equal(clip, saved("a")["clip"])


def test_what_is_there_already_is_kept_untouched_and_said_so(extract: Extract) -> None:
    assert extract("on_extraction=save_numpy", "a.mp4").code == 0
    before = {path: path.stat().st_mtime_ns for path in Path("output").iterdir()}
    with patch("clip_assets.extract.extraction.load_model", side_effect=AssertionError("loaded")):
        outcome = extract("on_extraction=save_numpy", "a.mp4")
    assert outcome.code == 0
    assert "kept: a.mp4: " in outcome.err
    assert "0 of 1 videos extracted, 1 kept, 0 failed" in outcome.err
    assert {path: path.stat().st_mtime_ns for path in Path("output").iterdir()} == before


def test_predictions_of_what_is_kept_are_shown_in_their_place(extract: Extract) -> None:
    show = ("on_extraction=save_numpy", "show_pred=true", "pred_texts=[one, two]", "a.mp4", "b.mp4", "c.mp4")
    shutil.copy("a.mp4", "c.mp4")
    fresh = extract(*show).out
    for path in Path("output").glob("b_*"):
        path.unlink()
    assert extract(*show).out == fresh
    assert re.findall(r"Video #\d", fresh) == ["Video #0", "Video #1", "Video #2"]


@pytest.mark.parametrize("change", ["video", "weights", "extraction_fps=5", "feature_dtype=float64", "on_damage=keep"])
def test_files_made_from_something_else_are_overwritten_by_force_alone(extract: Extract, change: str) -> None:
    save = ["on_extraction=save_numpy", "a.mp4", "b.mp4"]
    assert extract(*save).code == 0
    before = Path("output/a_clip.npy").read_bytes()
    if change == "video":
        corpus.single_frame(Path("a.mp4"))
    elif change == "weights":
        random_resnet(CHECKPOINT)
    else:
        save.append(change)
    outcome = extract(*save)
    assert outcome.code == 2
    assert str(Path("output/a_clip.npy").absolute()) in outcome.err
    assert "--force" in outcome.err
    assert Path("output/a_clip.npy").read_bytes() == before
    assert extract(*save, "--force").code == 0
    assert "2 kept" in extract(*save).err


def test_files_of_an_earlier_version_are_made_anew_only_where_they_came_out_otherwise(extract: Extract) -> None:
    save = ("on_extraction=save_numpy", "a.mp4", "b.mp4")
    assert extract(*save).code == 0
    for path in Path("output").glob("*.json"):
        note = json.loads(path.read_text())
        del note["sampling_version"], note["parameters"]["frames_sha256"]
        path.write_text(json.dumps(note))
    before = {path: path.stat().st_mtime_ns for path in Path("output").iterdir()}
    treatment = property(lambda probe: {"aspect": "2:1"} if probe.path.name == "b.mp4" else {})
    with patch.object(VideoProbe, "treatment", treatment):
        outcome = extract(*save)
    assert "1 of 2 videos extracted, 1 kept, 0 failed" in outcome.err
    assert {path.name for path, changed in before.items() if path.stat().st_mtime_ns != changed} == {
        f"b_{name}" for name in ("clip.npy", "fps.npy", "timestamps_ms.npy", "clip.json")
    }
    assert json.loads(Path("output/b_clip.json").read_text())["parameters"]["treatment"] == {"aspect": "2:1"}
    assert "2 kept" in extract(*save).err


def test_two_inputs_of_one_stem_stop_everything_before_any_work(workdir: Path, extract: Extract) -> None:
    for folder in ("x", "y"):
        (workdir / folder).mkdir()
        shutil.copy("a.mp4", folder)
    outcome = extract("on_extraction=save_numpy", "b.mp4", "x", "y")
    assert outcome.code == 2
    assert "--keep-tree" in outcome.err
    assert not Path("output").exists()
    assert extract("on_extraction=save_numpy", "b.mp4", "x", "y", "--keep-tree").code == 0
    assert {str(path) for path in Path("output").rglob("*_clip.npy")} == {
        "output/b_clip.npy",
        "output/x/a_clip.npy",
        "output/y/a_clip.npy",
    }


def test_of_a_hundred_videos_three_broken_ones_cost_nothing_but_themselves(workdir: Path, extract: Extract) -> None:
    (workdir / "v").mkdir()
    for number in range(100):
        shutil.copy("a.mp4", workdir / "v" / f"{number:02}.mp4")
    corpus.truncated(workdir / "v" / "10.mp4", index_in_front=True)
    corpus.text_file(workdir / "v" / "50.mp4")
    (workdir / "v" / "99.mp4").unlink()
    (workdir / "paths.txt").write_text("".join(f"./v/{number:02}.mp4\n" for number in range(100)))
    outcome = extract("on_extraction=save_numpy", "extraction_fps=1", "file_with_video_paths=./paths.txt")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    reasons = dict(re.findall(r"^failed: (\S+): (.+)$", outcome.err, re.MULTILINE))
    assert sorted(reasons) == ["./v/10.mp4", "./v/50.mp4", "./v/99.mp4"]
    assert "No such file" in reasons["./v/99.mp4"]
    assert len(list(Path("output").glob("*_clip.npy"))) == len(list(Path("output").glob("*_clip.json"))) == 97


def test_a_missing_video_fails_alone_when_printing_too(extract: Extract) -> None:
    outcome = extract("extraction_total=1", "gone.mp4", "a.mp4")
    assert outcome.code == 1
    assert outcome.out.count("clip\n[[") == 1
    assert "failed: gone.mp4: " in outcome.err
    assert "Traceback (most recent" in extract("extraction_total=1", "gone.mp4", "--verbose").err


@pytest.mark.parametrize(
    ("make", "said"), [(corpus.corrupt_packet, "on_damage=keep"), (corpus.text_file, "leave it out")]
)
def test_a_failure_says_the_way_out_of_this_command(
    workdir: Path, extract: Extract, make: Callable[[Path], object], said: str
) -> None:
    make(workdir / "broken.mp4")
    err = extract("broken.mp4").err
    assert re.search(rf"^failed: broken\.mp4: .*{said}", err, re.MULTILINE), err
    assert "CLIP_ASSETS" not in err


def test_a_disk_that_takes_no_files_fails_each_video_with_the_reason(extract: Extract) -> None:
    full = OSError(28, "No space left on device")
    with patch.object(Path, "write_bytes", side_effect=full):
        outcome = extract("on_extraction=save_numpy", "extraction_total=1", "a.mp4", "b.mp4")
    assert outcome.code == 1
    told = r"^failed: [ab]\.mp4: .*can't be written: No space left on device\. Make room there"
    assert len(re.findall(told, outcome.err, re.MULTILINE)) == 2


def test_a_mistyped_path_is_named_once_and_told_what_to_name(extract: Extract) -> None:
    outcome = extract("./c.mp4")
    assert outcome.code == 1
    told = "failed: ./c.mp4: can't be read: No such file or directory. Name a video, or a folder with videos."
    assert told in outcome.err.splitlines()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "No video was named"),
        (["video_path=a.mp4"], "Did you mean video_paths"),
        (["feature_type=i3d", "a.mp4"], "feature_type='i3d' is not allowed"),
        (["model_name=ViT-B/31", "a.mp4"], "There is no model 'ViT-B/31'"),
        (["checkpoint=gone.pth", "a.mp4"], "gone.pth, which isn't there"),
        (["device_ids=[0, 99]", "a.mp4"], "CUDA devices present: "),
        (["output_path=a.mp4/output", "a.mp4"], "a.mp4 is a file"),
        (["show_pred=true", f"pred_texts=['{'dog ' * 80}']", "a.mp4"], "82 tokens"),
    ],
)
def test_a_wrong_argument_is_said_and_nothing_is_done(extract: Extract, argv: list[str], said: str) -> None:
    outcome = extract("on_extraction=save_numpy", *argv)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not Path("output").exists()


@pytest.mark.parametrize("name", ["my clip.mp4", "ünï çødé 录像.mp4", "-x.mp4", "a=b.mp4", "100%.mp4", "a:b.mp4"])
def test_odd_names_are_read_and_saved_by_their_stem(extract: Extract, name: str) -> None:
    shutil.copy("a.mp4", name)
    (Path.cwd() / "paths.txt").write_text(f"{name}\n", encoding="utf-8")
    stem = name.removesuffix(".mp4")
    for folder, argv in [
        ("1", ["--", name]),
        ("2", [f"video_paths=['{name}']"]),
        ("3", ["file_with_video_paths=paths.txt"]),
    ]:
        outcome = extract("on_extraction=save_numpy", "extraction_total=1", f"output_path={folder}", *argv)
        assert outcome.code == 0, outcome.err
        assert saved(stem, folder)["clip"].shape == (1, 48)


def test_a_name_too_long_for_its_results_and_a_pipe_fail_at_once_and_others_go_on(
    extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest, fits = "x" * 238 + ".mp4", "y" * 237 + ".mp4"
    shutil.copy("a.mp4", longest)
    shutil.copy("a.mp4", fits)
    os.mkfifo("pipe.mp4")
    probed: list[str] = []
    probe = extraction.probe
    monkeypatch.setattr(extraction, "probe", lambda path, **rest: probed.append(path.name) or probe(path, **rest))
    outcome = extract("on_extraction=save_numpy", "extraction_total=1", longest, "pipe.mp4", fits)
    assert (outcome.code, probed) == (1, [fits])
    assert saved("y" * 237)["clip"].shape == (1, 48)
    assert "1 bytes too long" in outcome.err
    assert "256 bytes, and a file's name may have 255" in outcome.err
    assert "at most 237 bytes before its ending" in outcome.err
    assert "failed: pipe.mp4: can't be read: it is a named pipe, not a file" in outcome.err


def test_a_video_of_another_ending_is_taken_where_it_is_named(extract: Extract, workdir: Path) -> None:
    (workdir / "v").mkdir()
    shutil.copy("a.mp4", "v/take.001")
    shutil.copy("a.mp4", "v/ok.mp4")
    outcome = extract("extraction_total=1", "v", "v/take.001")
    assert outcome.code == 0, outcome.err
    assert "v: 1 file left out for its ending: .001 1" in outcome.err
    assert "2 of 2 videos extracted" in outcome.err


def test_two_replicas_give_the_features_of_one_and_share_the_videos(extract: Extract) -> None:
    extract("on_extraction=save_numpy", "output_path=one", "a.mp4", "b.mp4")
    assert extract("on_extraction=save_numpy", "output_path=two", "device_ids=[cpu, cpu]", "a.mp4", "b.mp4").code == 0
    for stem in "ab":
        np.testing.assert_allclose(saved(stem, "two")["clip"], saved(stem, "one")["clip"], atol=1e-5)


@pytest.mark.gpu
def test_a_gpu_gives_the_features_of_the_cpu_within_half_precision(extract: Extract) -> None:
    extract("on_extraction=save_numpy", "output_path=cpu", "a.mp4")
    assert extract("on_extraction=save_numpy", "output_path=cuda", "device_ids=[0]", "a.mp4").code == 0
    on_cpu, on_cuda = (torch.from_numpy(saved("a", folder)["clip"]) for folder in ("cpu", "cuda"))
    assert torch.cosine_similarity(on_cpu, on_cuda).min() >= 0.999


def test_batch_size_does_not_change_the_features_beyond_rounding(extract: Extract) -> None:
    for size in (1, 32):
        extract("on_extraction=save_numpy", f"output_path={size}", f"batch_size={size}", "a.mp4")
    np.testing.assert_allclose(saved("a", "1")["clip"], saved("a", "32")["clip"], atol=1e-5)


def test_settings_of_the_environment_apply(extract: Extract, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_ASSETS_EXTRACTION_TOTAL", "3")
    extract("on_extraction=save_numpy", "a.mp4")
    assert len(saved("a")["clip"]) == 3


def test_a_damaged_video_that_is_kept_says_what_is_missing(extract: Extract) -> None:
    corpus.corrupt_packet(Path("c.mp4"))
    outcome = extract("on_extraction=save_numpy", "on_damage=keep", "c.mp4")
    assert outcome.code == 0
    assert "damaged: c.mp4: " in outcome.err
    assert 0 < len(saved("c")["clip"]) < corpus.FRAMES
    assert json.loads(Path("output/c_clip.json").read_text())["damage"]


def test_the_note_tells_the_digest_of_each_file(extract: Extract) -> None:
    extract("on_extraction=save_numpy", "extraction_total=2", "a.mp4")
    note = json.loads(Path("output/a_clip.json").read_text())
    assert note["files"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path("output").glob("*.npy")
    }
    assert (note["video"], note["frames"], note["feature_width"]) == ("a.mp4", 2, 48)


def test_what_no_longer_has_an_effect_is_said(extract: Extract) -> None:
    outcome = extract("tmp_path=./tmp", "keep_tmp_files=true", "extraction_total=1", "a.mp4")
    assert outcome.code == 0
    assert "nothing is re-encoded" in outcome.err
    assert not Path("tmp").exists()


@pytest.mark.cluster
def test_a_reader_that_has_seen_enough_ends_the_command_quietly(workdir: Path) -> None:
    argv = ["extract", "model_name=custom", "cpu=true", "a.mp4", "b.mp4"]
    code = "import sys; from clip_assets.cli import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_no_progress_is_written_where_nobody_watches(extract: Extract) -> None:
    err = extract("extraction_total=1", "a.mp4").err
    assert err == "1 of 1 videos extracted, 0 failed\n"


def test_progress_on_a_terminal_tells_videos_rate_and_time_left(
    extract: Extract, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert extract("batch_size=1", "a.mp4", "b.mp4").code == 0
    assert "1/2 videos" in terminal.getvalue()
    assert re.search(r"/60 \[\d\d:\d\d<\d\d:\d\d, +\d", terminal.getvalue()), "frames of both, time left, rate"


def test_argparse_still_reads_the_other_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "extract" in capsys.readouterr().out
