"""What is in a checkpoint file: a CLIP state_dict in OpenAI's layout, or an error that says what was found instead."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING

from clip_assets.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import torch

_EXPECTED = (
    "Expected a CLIP checkpoint in OpenAI's layout: a TorchScript archive as OpenAI ships them, or a state_dict "
    "(visual.conv1.weight, token_embedding.weight, ...), plain or under the key 'state_dict' or 'model'."
)

_WRAPPERS = ("state_dict", "model")

# Sizes that OpenAI's archives carry beside the parameters.
_NOT_PARAMETERS = ("input_resolution", "context_length", "vocab_size")

# What torch.load, torch.jit.load and zipfile raise on damaged files, found by feeding them some thousand.
_LOAD_ERRORS = (
    AssertionError, AttributeError, EOFError, ImportError, LookupError, OSError, RuntimeError, TypeError, ValueError,
    struct.error, zipfile.BadZipFile,
)  # fmt: skip


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """A CLIP model's parameters by OpenAI's names, on the CPU, in the file's own precision.

    Where the format allows, the tensors are views of the mapped file: copy what is to outlive a change of it.

    Raises:
        ModelError: The file holds anything else; the message says what.
    """
    import torch

    content = _read(path)
    if not isinstance(content, dict):
        raise wrong_checkpoint(path, f"an object of type {type(content).__name__}")
    content = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), content)
    if not content or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise wrong_checkpoint(path, f"a dict with the keys {some(map(str, content))}" if content else "an empty dict")
    state = {str(key): value for key, value in content.items()}
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    if any(key.startswith(("vision_model.", "text_model.")) for key in state):
        raise wrong_checkpoint(path, "a state_dict in the layout of the transformers library")
    return {key: value for key, value in state.items() if key not in _NOT_PARAMETERS}


def wrong_checkpoint(path: Path, found: str) -> ModelError:
    """The error for a file that isn't a CLIP checkpoint.

    Args:
        path: The file.
        found: What it is instead, as in "a dict with the keys a, b".
    """
    return ModelError(f"{path} holds {found}. {_EXPECTED}")


def some(names: Iterable[str], limit: int = 4) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _read(path: Path) -> object:
    """What the file holds: a state_dict if it is a TorchScript archive, else whatever object was saved."""
    import torch

    if found := _not_torch(path):
        raise wrong_checkpoint(path, found)
    try:
        is_zip = zipfile.is_zipfile(path)
        if is_zip and _is_torchscript(path):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="`torch.jit.load` is deprecated")
                return dict(torch.jit.load(path, map_location="cpu").state_dict())
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL (\S+)", str(error))
        found = f"Python objects other than tensors ({name[1] if name else 'an unreadable pickle'})"
        raise wrong_checkpoint(path, found) from error
    except _LOAD_ERRORS as error:
        found = f"a damaged or incomplete checkpoint of {path.stat().st_size} bytes ({type(error).__name__})"
        raise wrong_checkpoint(path, found) from error


def _not_torch(path: Path) -> str | None:
    """What the file is, if its first bytes show that torch didn't write it: its files are zip archives or pickles."""
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise ModelError(f"The weights {path} can't be read: {error}.") from error
    if not head:
        return "0 bytes"
    if head.startswith((b"PK", b"\x80")):
        return None
    if head[8:9] == b"{":
        return "tensors in safetensors format"
    kind = "an HTML page" if head.lstrip().startswith(b"<") else "something else"
    return f"{kind}, beginning with {head!r}"


def _is_torchscript(path: Path) -> bool:
    """Whether a zip file is a TorchScript archive: these hold constants, which torch.save's don't."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
