"""What was written on the command line: ``key=value`` pairs, the same as options, and paths. Values stay strings."""

from __future__ import annotations

import difflib
import re
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from clip_assets.core.errors import SettingsError

_PAIR = re.compile(r"(?:--)?([A-Za-z][\w-]*)=(.*)", re.DOTALL)
_TRUTHS = ("true", "false")


@dataclass(frozen=True)
class Arguments:
    """What was written.

    Attributes:
        values: The last value of each key that was given, with underscores, as it was written.
        paths: Videos and folders that stand for themselves, in order.
        wants_help: Whether ``-h`` or ``--help`` is among the arguments.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    wants_help: bool = False


def parse_arguments(argv: Sequence[str], keys: Collection[str], flags: Collection[str]) -> Arguments:
    """Sort arguments into values and paths: all is a path after ``--``, and what is neither pair nor option.

    Args:
        argv: The arguments.
        keys: The keys there are.
        flags: Those among them that, written as an option, need no value.

    Raises:
        SettingsError: An unknown key, with the nearest known one, or an option without its value.
    """
    values: dict[str, str] = {}
    paths: list[str] = []
    tokens = deque(argv)
    while tokens:
        token = tokens.popleft()
        if token == "--":
            paths += tokens
            break
        if token in ("-h", "--help"):
            return Arguments(wants_help=True)
        if pair := _PAIR.fullmatch(token):
            values[_known(pair[1], token, keys)] = pair[2]
        elif token.startswith("-"):
            key = _known(token.removeprefix("--"), token, keys)
            values[key] = _flag(tokens) if key in flags else _value(key, tokens)
        else:
            paths.append(token)
    return Arguments(values, tuple(paths))


def read_scalar(value: str) -> str | None:
    """A single value: a quoted one as YAML reads it, None for nothing, ``~`` and ``null``, else as it was written.

    A bare value isn't left to YAML, which would cut ``./a #1.mp4`` short and make ``yes`` of a sentence a truth.

    Raises:
        SettingsError: The quotes don't close.
    """
    stripped = value.strip()
    if stripped in ("", "~", "null"):
        return None
    return str(_read_yaml(value)) if stripped[0] in "\"'" else value


def read_strings(value: str) -> list[str] | None:
    """A YAML list, every element as a string; a single value is a list of one.

    Raises:
        SettingsError: It begins like a list and is none, or holds more than strings.
    """
    if not value.lstrip().startswith("["):
        one = read_scalar(value)
        return None if one is None else [one]
    elements = _read_yaml(value)
    if not isinstance(elements, list) or not all(isinstance(element, str) for element in elements):
        raise SettingsError(f"{value} is not a list of strings. Put quotes around each, as in \"['a', 'b']\".")
    return elements


def _read_yaml(value: str) -> object:
    try:
        return yaml.load(value, yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise SettingsError(
            f"{value} is not valid YAML. Write a list as \"['a', 'b']\", with quotes around each element; a path that "
            "begins with a bracket or a quote, with ./ before it."
        ) from error


def _known(name: str, token: str, keys: Collection[str]) -> str:
    key = name.replace("-", "_")
    if key not in keys:
        nearest = difflib.get_close_matches(key, keys, n=1, cutoff=0)[0]
        raise SettingsError(
            f"Unknown argument {token}. Did you mean {nearest}? Keys: {', '.join(keys)}. "
            f"If it is a path, write ./{token}, or put -- before the paths."
        )
    return key


def _flag(tokens: deque[str]) -> str:
    """What stands after a flag, if that is true or false."""
    return tokens.popleft() if tokens and tokens[0].lower() in _TRUTHS else "true"


def _value(key: str, tokens: deque[str]) -> str:
    if not tokens or tokens[0].startswith("--"):
        raise SettingsError(f"--{key} needs a value: --{key} VALUE, or {key}=VALUE.")
    value = tokens.popleft()
    numbers = [value]
    while key == "device_ids" and tokens and tokens[0].isdigit():  # --device_ids 0 2
        numbers.append(tokens.popleft())
    return value if len(numbers) == 1 else f"[{', '.join(numbers)}]"
