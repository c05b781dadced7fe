"""Which files a model is made of, where they are, and the digest of all of them: its identity."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clip_assets.core.digests import digest
from clip_assets.core.errors import ModelAbsentError, ModelError
from clip_assets.core.model.file_digests import file_sha256
from clip_assets.core.model.open_clip import catalogue, hub
from clip_assets.core.model.open_clip.names import InFolder, OnHub, Published

CONFIG = "open_clip_config.json"

# In the order in which open_clip prefers them.
_WEIGHTS = (
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"),
    *("open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"),
)
_USUAL_ON_HUB = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")

# Of a tokenizer of transformers: one of these is needed, and the first says all where it is there.
_VOCABULARIES = (
    *("tokenizer.json", "spiece.model", "sentencepiece.bpe.model"),
    *("tokenizer.model", "vocab.txt", "vocab.json"),
)
_BESIDE = ("merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_TOWER = "config.json"

_IN_CACHE = re.compile(r"/models--([^/]+?)--([^/]+)/snapshots/")

Find = Callable[[str, "tuple[str, ...]", "str | None"], Path]
"""A repository's first file of these, at a revision: from the cache, or downloaded."""


@dataclass(frozen=True)
class ModelFiles:
    """All that a model is made of.

    Attributes:
        config: As open_clip's classes take it.
        preprocessing: As open_clip's ``PreprocessCfg`` takes it.
        weights: The file.
        tokenizer: The files of a tokenizer of transformers, in one folder; none where open_clip's own is used.
        tower: The configuration of a text encoder of transformers; None where open_clip's own is used.
    """

    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    weights: Path
    tokenizer: tuple[Path, ...] = field(default=())
    tower: Path | None = None

    def sha256(self) -> str:
        """The model's identity; raises ModelError where a file can't be read."""
        files = [self.weights, *self.tokenizer, *([self.tower] if self.tower else [])]
        return digest(
            {
                "config": self.config,
                "preprocessing": self.preprocessing,
                "files": {"weights" if path == self.weights else path.name: file_sha256(path) for path in files},
            }
        )


def find_files(where: Published | OnHub | InFolder, name: str, *, download: bool = False) -> ModelFiles:
    """The files of a model.

    Args:
        where: What its name means.
        name: Its name, for people.
        download: Whether what isn't on this machine is downloaded.

    Raises:
        ModelError: A file isn't there or can't be had, or the configuration is none, or not of these weights.
        ModelAbsentError: It must be downloaded, and isn't to be.
    """
    if isinstance(where, InFolder):
        return _in_folder(where.folder, name)
    find: Find = hub.download_first if download else hub.first_cached
    return _published(where, name, find) if isinstance(where, Published) else _on_hub(where, name, find)


def _published(where: Published, name: str, find: Find) -> ModelFiles:
    known = catalogue.listed(where)
    config = catalogue.architecture_config(where.architecture)
    catalogue.check_activation(config, known, f"{where.architecture}/{where.tag}", where.architecture)
    weights = find(known.repository, _alternatives(known.file), None)
    return ModelFiles(config, known.preprocessing, weights, *_of_transformers(config, find, {}))


def _alternatives(file: str) -> tuple[str, ...]:
    """A file with weights, and what stands for it: in safetensors, where that is there."""
    if not file:
        return _USUAL_ON_HUB
    stem = re.sub(r"\.(bin|pth)$", "", file)
    return (f"{stem}.safetensors", file) if stem != file else (file,)


def _on_hub(where: OnHub, name: str, find: Find) -> ModelFiles:
    path = find(where.repository, (CONFIG,), where.revision)
    config, preprocessing = _read_config(path)
    commit = path.parent.name  # of all files of the model, whatever becomes of the branch meanwhile
    _check_known(where.repository, config, name)
    weights = find(where.repository, _USUAL_ON_HUB, commit)
    return ModelFiles(config, preprocessing, weights, *_of_transformers(config, find, {where.repository: commit}))


def _of_transformers(
    config: Mapping[str, Any], find: Find, commits: Mapping[str, str]
) -> tuple[tuple[Path, ...], Path | None]:
    """The tokenizer's files and the text encoder's configuration, where transformers has them.

    Args:
        config: The model's.
        find: Finds them.
        commits: By repository the one to take; of others it is the main branch's.
    """
    text = config["text_cfg"]
    repository = text.get("hf_tokenizer_name")
    tokenizer = _tokenizer_in(_tokenizer_folder(repository, find, commits.get(repository))) if repository else ()
    name = text.get("hf_model_name")
    tower = find(name, (_TOWER,), commits.get(name)) if name else None
    return tokenizer, tower


def _tokenizer_folder(repository: str, find: Find, revision: str | None) -> Path:
    """Where a repository's tokenizer is; the vocabulary comes last, so that where it is, all else is too."""
    try:
        return hub.first_cached(repository, _VOCABULARIES, revision).parent
    except ModelAbsentError:
        if find is hub.first_cached:
            raise
    for file in _BESIDE:
        hub.download_if_there(repository, file, revision)
    return find(repository, _VOCABULARIES, revision).parent


def _tokenizer_in(folder: Path) -> tuple[Path, ...]:
    """The files that a tokenizer is read from; none where there is no vocabulary among them."""
    vocabularies = [path for file in _VOCABULARIES if (path := folder / file).is_file()]
    if not vocabularies:
        return ()
    if vocabularies[0].name == _VOCABULARIES[0]:
        del vocabularies[1:]
    return (*vocabularies, *(path for file in _BESIDE if (path := folder / file).is_file()))


def _in_folder(folder: Path, name: str) -> ModelFiles:
    config, preprocessing = _read_config(folder / CONFIG)
    if in_cache := _IN_CACHE.search(f"{folder.as_posix()}/"):
        _check_known("/".join(in_cache.groups()), config, name)
    text = config["text_cfg"]
    tokenizer = _tokenizer_in(folder) if text.get("hf_tokenizer_name") else ()
    if text.get("hf_tokenizer_name") and not tokenizer:
        raise ModelError(f"{folder} lacks the tokenizer's files, as tokenizer.json, which its configuration asks for.")
    tower = folder / _TOWER if text.get("hf_model_name") else None
    if tower and not tower.is_file():
        raise ModelError(f"{tower} isn't there: the configuration of the text encoder {text['hf_model_name']}.")
    return ModelFiles(config, preprocessing, _weights_in(folder), tokenizer, tower)


def _weights_in(folder: Path) -> Path:
    found = [path for file in _WEIGHTS if (path := folder / file).is_file()]
    if not found:
        found = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".pth"))
        if len(found) != 1:
            names = ", ".join(path.name for path in found) or "none"
            raise ModelError(f"{folder} should hold one file of weights, as {_WEIGHTS[0]}; there are: {names}.")
    return found[0]


def _read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model's configuration and its preprocessing."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path} isn't there: a model's folder holds its configuration under that name.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} can't be read as a model's configuration: {error}.") from error
    model = read.get("model_cfg") if isinstance(read, dict) else None
    if not isinstance(model, dict) or not {"embed_dim", "vision_cfg", "text_cfg"} <= set(model):
        raise ModelError(f"{path} is no configuration of open_clip: model_cfg has embed_dim, vision_cfg and text_cfg.")
    preprocessing = read.get("preprocess_cfg") or {}
    needed = ["mean", "std", *(["interpolation", "resize_mode"] if catalogue.score_kind(model) == "sigmoid" else [])]
    if missing := [key for key in needed if key not in preprocessing]:
        raise ModelError(
            f"preprocess_cfg in {path} lacks {', '.join(missing)}: how pictures are prepared would be guessed."
        )
    return model, preprocessing


def _check_known(repository: str, config: Mapping[str, Any], name: str) -> None:
    """Refuse the wrong activation, where open_clip lists what is in the repository."""
    for known in catalogue.listing().values():
        if known.repository == repository:
            catalogue.check_activation(config, known, name)
            return
