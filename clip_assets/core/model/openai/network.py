"""OpenAI's network and tokenizer, without what else ``import clip`` brings.

The package itself imports torchvision, and that torch's compiler: two seconds of every process, for a transform of
pictures that `core.model.preprocess` replaces.
"""

from __future__ import annotations

import functools
import importlib.util
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ModelError, TextError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import torch
    from clip.model import CLIP


def build_network(**sizes: object) -> CLIP:
    """OpenAI's ``CLIP``, on the CPU, with memory for its weights and no values: they are to be assigned.

    Drawing them would take 5 s for ViT-L/14. Not on torch's meta device either, whose arithmetic imports the compiler.

    Args:
        sizes: The arguments of ``clip.model.CLIP``.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class NothingDrawn(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func is torch.randn:
                return torch.empty(*args, **kwargs)
            if func.__name__ in {"normal_", "uniform_", "kaiming_uniform_"}:
                return args[0] if args else kwargs["tensor"]
            return func(*args, **kwargs)

    with NothingDrawn():
        return _module("model").CLIP(**sizes)


def tokenize(texts: Sequence[str], context_length: int) -> torch.Tensor:
    """Tokens by OpenAI's tokenizer, between its start and end tokens: int64 (N, longest), padded with zeros.

    Raises:
        TextError: A text has more tokens than ``context_length``; the message names it.
    """
    import torch

    tokenizer = _tokenizer()
    start, end = tokenizer.encoder["<|startoftext|>"], tokenizer.encoder["<|endoftext|>"]
    tokens = [[start, *tokenizer.encode(text), end] for text in texts]
    padded = torch.zeros(len(texts), max(map(len, tokens), default=0), dtype=torch.int64)
    for row, text, of_text in zip(padded, texts, tokens, strict=True):
        if len(of_text) > context_length:
            raise TextError(f"The text {text!r} has {len(of_text)} tokens; the model takes at most {context_length}.")
        row[: len(of_text)] = torch.tensor(of_text)
    return padded


@functools.cache
def _tokenizer() -> Any:
    return _module("simple_tokenizer").SimpleTokenizer()


@functools.cache
def _module(name: str) -> ModuleType:
    """A module of the package, apart from ``sys.modules``, where the package itself may come later."""
    package = importlib.util.find_spec("clip")
    folders = package.submodule_search_locations if package else None
    spec = PathFinder.find_spec(f"clip.{name}", folders) if folders else None
    if spec is None or spec.loader is None:
        raise ModelError("The package clip is missing or isn't OpenAI's. Install clip-anytorch.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
