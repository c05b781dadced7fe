"""The command line: pairs, options and paths are told apart, and nothing is misread in silence."""

from __future__ import annotations

import pytest

from clip_assets.core.errors import SettingsError
from clip_assets.extract.arguments import Arguments, parse_arguments, read_scalar, read_strings
from clip_assets.extract.options import FLAGS, KEYS


def parse(*argv: str) -> Arguments:
    return parse_arguments(argv, KEYS, FLAGS)


@pytest.mark.parametrize(
    "argv",
    [
        ["extraction_fps=5"],
        ["extraction-fps=5"],
        ["--extraction_fps=5"],
        ["--extraction-fps=5"],
        ["--extraction_fps", "5"],
        ["--extraction-fps", "5"],
        ["extraction_fps=1", "--extraction-fps", "2", "extraction_fps=5"],
    ],
)
def test_every_spelling_of_a_key_gives_its_last_value(argv: list[str]) -> None:
    assert parse(*argv) == Arguments({"extraction_fps": "5"})


def test_a_flag_needs_no_value_and_takes_no_path_for_one() -> None:
    assert parse("--force", "a.mp4") == Arguments({"force": "true"}, ("a.mp4",))
    assert parse("--show_pred", "false", "a.mp4") == Arguments({"show_pred": "false"}, ("a.mp4",))


@pytest.mark.parametrize("path", ["a b.mp4", "ü/ß.mp4", "./a=b.mp4", "./-x.mp4", "x/y=z.mp4", "[a].mp4", "été=1.mp4"])
def test_a_path_stands_for_itself(path: str) -> None:
    assert parse(path).paths == (path,)


def test_after_two_dashes_all_is_a_path() -> None:
    assert parse("--force", "--", "-x.mp4", "--help", "batch_size=2").paths == ("-x.mp4", "--help", "batch_size=2")


def test_the_old_scripts_lists_of_words_are_understood() -> None:
    parsed = parse("--device_ids", "0", "2", "--video_paths", "a.mp4", "b.mp4")
    assert parsed == Arguments({"device_ids": "[0, 2]", "video_paths": "a.mp4"}, ("b.mp4",))


@pytest.mark.parametrize(
    ("token", "nearest"),
    [("extraction_fsp=5", "extraction_fps"), ("--batchsize", "batch_size"), ("modelname=x", "model_name")],
)
def test_an_unknown_key_is_an_error_with_the_nearest_known_one(token: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"Did you mean {nearest}"):
        parse(token, "5")


def test_a_path_that_looks_like_an_option_is_an_error_that_says_how_to_write_it() -> None:
    with pytest.raises(SettingsError, match=r"write \./-x\.mp4"):
        parse("-x.mp4")


@pytest.mark.parametrize("argv", [["--output-path"], ["--output-path", "--force"]])
def test_an_option_without_its_value_is_an_error(argv: list[str]) -> None:
    with pytest.raises(SettingsError, match="--output_path needs a value"):
        parse(*argv)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("null", None), ("", None), ("~", None), ("'null'", "null"), ("./a #1.mp4", "./a #1.mp4"), ("yes", "yes")],
)
def test_a_bare_value_is_kept_as_it_was_written(value: str, expected: str | None) -> None:
    assert read_scalar(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("[./a.mp4, ./b.mp4]", ["./a.mp4", "./b.mp4"]),
        ("['a dog, smiling', yes, 007]", ["a dog, smiling", "yes", "007"]),
        ('["-x.mp4", "a #1.mp4"]', ["-x.mp4", "a #1.mp4"]),
        ("./a: b.mp4", ["./a: b.mp4"]),
        ("null", None),
        ("[]", []),
    ],
)
def test_a_list_is_yaml_with_strings_for_elements(value: str, expected: list[str] | None) -> None:
    assert read_strings(value) == expected


@pytest.mark.parametrize("value", ["[a.mp4, b.mp4", "[a: b]", "['a]", "[draft] a.mp4"])
def test_what_begins_like_a_list_and_is_none_is_an_error(value: str) -> None:
    with pytest.raises(SettingsError, match=r"YAML|not a list of strings"):
        read_strings(value)
