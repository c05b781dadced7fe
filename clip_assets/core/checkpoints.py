"""What is in a checkpoint file: a CLIP state_dict in OpenAI's layout, or an error that says what was found instead."""

from __future__ import annotations

import pickle
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

# How files that people save in a checkpoint's place begin.
_OTHER_FORMATS = (
    (b"<", "an HTML or XML page, as a failed download leaves"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file it points to"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
)

# What torch.load and torch.jit.load raise on files that are damaged or hold something else.
_LOAD_ERRORS = (
    pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError,
    AttributeError, ImportError,
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

    if found := _other_format(path):
        raise wrong_checkpoint(path, found)
    is_zip = zipfile.is_zipfile(path)
    try:
        if is_zip and _is_torchscript(path):
            return dict(torch.jit.load(path, map_location="cpu").state_dict())
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except _LOAD_ERRORS as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise wrong_checkpoint(path, f"nothing that torch reads as weights ({reason})") from error


def _other_format(path: Path) -> str | None:
    """What the file is, if its size or first bytes show that it is no checkpoint."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise ModelError(f"The weights {path} can't be read: {error}.") from error
    if not head:
        return "0 bytes"
    if head[8:10] == b'{"':
        return "a safetensors file"
    return next((found for start, found in _OTHER_FORMATS if head.lstrip().startswith(start)), None)


def _is_torchscript(path: Path) -> bool:
    """Whether a zip file is a TorchScript archive: these hold constants, which torch.save's don't."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
