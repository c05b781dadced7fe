"""Sentences to tokens, by the tokenizer that a model was trained with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clip_assets.core.errors import ModelError, TextError

if TYPE_CHECKING:
    import torch

    from clip_assets.core.model.open_clip.files import ModelFiles

_USUAL_LENGTH = 77

# What the tokenizer mode "clips" puts around a sentence's own tokens.
_AROUND_CLIPS = 3


def make_tokenizer(files: ModelFiles) -> Callable[[Sequence[str]], torch.Tensor]:
    """The tokenizer, to tokens int64 (N, L); open_clip's own cuts a sentence that is too long, and nobody notices.

    It raises TextError for a sentence that has more tokens than the model takes; the message names it.

    Raises:
        ModelError: transformers, or a library of its own that it needs, can't read the tokenizer's files.
    """
    text = files.config["text_cfg"]
    length = int(text.get("context_length") or _USUAL_LENGTH)
    tokenizer, count = _of_transformers(files, length) if files.tokenizer else _own(files, length)

    def tokenize(texts: Sequence[str]) -> torch.Tensor:
        for sentence in texts:
            if (tokens := count(sentence)) > length:
                raise TextError(f"The text {sentence!r} has {tokens} tokens; the model takes at most {length}.")
        return tokenizer(list(texts))

    return tokenize


_Tokenizer = Callable[[list[str]], "torch.Tensor"]
_Count = Callable[[str], int]


def _own(files: ModelFiles, length: int) -> tuple[_Tokenizer, _Count]:
    """open_clip's tokenizer, and how many tokens a sentence has."""
    from open_clip import SimpleTokenizer

    tokenizer = SimpleTokenizer(context_length=length, **(files.config["text_cfg"].get("tokenizer_kwargs") or {}))
    return tokenizer, lambda sentence: len(tokenizer.encode(sentence)) + 2


def _of_transformers(files: ModelFiles, length: int) -> tuple[_Tokenizer, _Count]:
    """A tokenizer of transformers, and how many tokens a sentence has."""
    from open_clip.tokenizer import HFTokenizer

    text, folder = files.config["text_cfg"], files.tokenizer[0].parent
    mode = text.get("tokenizer_mode")
    try:
        tokenizer = HFTokenizer(
            str(folder), context_length=length, tokenizer_mode=mode, **(text.get("tokenizer_kwargs") or {})
        )
    except (ImportError, OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"The tokenizer in {folder} can't be read: {error}") from error
    if mode == "clips":
        return (
            tokenizer,
            lambda sentence: (
                _AROUND_CLIPS
                + len(tokenizer.tokenizer(tokenizer.clean_fn(sentence), add_special_tokens=False).input_ids)
            ),
        )
    return tokenizer, lambda sentence: len(tokenizer.tokenizer(tokenizer.clean_fn(sentence)).input_ids)
