"""Which weights open_clip lists, and what it says of each; remembered, since asking it takes seconds."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ModelError
from clip_assets.core.model.open_clip.names import PREFIX, Published
from clip_assets.core.user_cache import recall, remember

if TYPE_CHECKING:
    from clip_assets.core.records import ScoreKind

_REMEMBERED = "open_clip"
_PACKAGE, _DISTRIBUTION = "open_clip", "open-clip-torch"
_MOST_SUGGESTED = 5


@dataclass(frozen=True)
class Listed:
    """What open_clip says of published weights.

    Attributes:
        repository: Of Hugging Face's hub, where the weights are.
        file: Their name there; empty for the usual one.
        preprocessing: As open_clip's ``PreprocessCfg`` takes it.
        quick_gelu: Whether they were trained with QuickGELU.
    """

    repository: str
    file: str
    preprocessing: Mapping[str, Any]
    quick_gelu: bool


def check_installed() -> None:
    """Raise ModelError unless open_clip is installed; the message says how to have it."""
    if importlib.util.find_spec(_PACKAGE) is None:
        raise ModelError(f"The package {_DISTRIBUTION} isn't installed: pip install 'clip_assets[open-clip]'.")


def package_folder() -> Path:
    """Where open_clip is installed; raises as `check_installed`."""
    check_installed()
    spec = importlib.util.find_spec(_PACKAGE)
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise ModelError(f"{_PACKAGE} isn't the package {_DISTRIBUTION}: pip install 'clip_assets[open-clip]'.")
    return Path(locations[0])


def listed(published: Published) -> Listed:
    """What open_clip says of weights; raises ModelError with near names where it lists none such."""
    names = listing()
    key = f"{published.architecture}/{published.tag}"
    if key not in names:
        near = ", ".join(f"{PREFIX}{name}" for name in _near(key, tuple(names))) or "none is near"
        raise ModelError(f"open_clip lists no model {key!r}. Near: {near}.")
    return names[key]


def _near(key: str, names: tuple[str, ...]) -> list[str]:
    """Names that may have been meant: of the same architecture, or spelt alike."""
    plain = {name.lower(): name for name in names}
    close = [plain[name] for name in difflib.get_close_matches(key.lower(), plain, n=_MOST_SUGGESTED)]
    architecture = key.partition("/")[0].lower()
    same = [name for name in names if name.lower().startswith(f"{architecture}/")]
    return list(dict.fromkeys([*close, *same]))[:_MOST_SUGGESTED]


@functools.cache
def listing() -> Mapping[str, Listed]:
    """All that open_clip lists, by ``ARCHITECTURE/TAG``; raises as `check_installed`."""
    check_installed()
    version = importlib.metadata.version(_DISTRIBUTION)
    known = recall(_REMEMBERED).get(version)
    if known is None:
        known = {name: asdict(found) for name, found in _asked().items()}
        remember(_REMEMBERED, **{version: known})
    return {name: Listed(**found) for name, found in known.items()}


def _asked() -> dict[str, Listed]:
    """The same, asked of open_clip."""
    import open_clip

    found = {}
    for architecture, tag in open_clip.list_pretrained():
        said = dict(open_clip.get_pretrained_cfg(architecture, tag))
        repository, _, file = said.pop("hf_hub", "").rpartition("/")
        said.pop("url", None)
        if repository:
            found[f"{architecture}/{tag}"] = Listed(repository, file, said, bool(said.pop("quick_gelu", False)))
    return found


def architecture_config(architecture: str) -> dict[str, Any]:
    """The configuration of one of open_clip's architectures; raises ModelError where it has none such."""
    path = package_folder() / "model_configs" / f"{architecture}.json"
    if not path.is_file():
        raise ModelError(f"open_clip has no architecture {architecture!r}.")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def score_kind(model_config: Mapping[str, Any]) -> ScoreKind:
    """What makes probabilities in a model of that configuration: one with a bias was trained with a sigmoid."""
    return "softmax" if model_config.get("init_logit_bias") is None else "sigmoid"


def check_activation(model_config: Mapping[str, Any], known: Listed, name: str, architecture: str = "") -> None:
    """Refuse a configuration whose activation isn't that which the weights were trained with.

    Both load, and features of the wrong one are a little off, which nobody notices.

    Args:
        model_config: The model's.
        known: What open_clip says of the weights.
        name: As asked for.
        architecture: Of a published one, so that the right name can be told.
    """
    trained, built = (_activation(one) for one in (known.quick_gelu, bool(model_config.get("quick_gelu"))))
    if trained == built:
        return
    told = f"{name} would compute {built}, and open_clip says that its weights were trained with {trained}."
    plain = architecture.removesuffix("-quickgelu")
    right = f"{plain}-quickgelu" if known.quick_gelu else plain
    for other, there in listing().items():
        if architecture and other.startswith(f"{right}/") and there.repository == known.repository and other != name:
            raise ModelError(f"{told} The right name is {PREFIX}{other}.")
    raise ModelError(f"{told} Put the model into a folder with the configuration that is right: {PREFIX}local-dir:")


def _activation(quick: bool) -> str:
    return "QuickGELU" if quick else "GELU"
