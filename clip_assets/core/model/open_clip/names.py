"""What a name of one of the family's models means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clip_assets.core.errors import ModelError

FAMILY = "open_clip"
PREFIX = f"{FAMILY}:"

FORMS = (f"{PREFIX}MODEL/TAG", f"{PREFIX}hf-hub:OWNER/NAME", f"{PREFIX}local-dir:FOLDER")
"""What a name may be; open_clip lists those of the first form."""


@dataclass(frozen=True)
class Published:
    """Weights that open_clip lists: an architecture of its own, and what it was trained on."""

    architecture: str
    tag: str


@dataclass(frozen=True)
class OnHub:
    """A repository of Hugging Face's hub, and the branch, tag or commit to take; None: its main branch."""

    repository: str
    revision: str | None


@dataclass(frozen=True)
class InFolder:
    """A folder with a model's configuration, weights and tokenizer."""

    folder: Path


def parse(name: str) -> Published | OnHub | InFolder:
    """What a name means.

    Raises:
        ModelError: It is of no form that there is.
    """
    kind, _, rest = name.removeprefix(PREFIX).partition(":")
    if kind == "local-dir" and rest:
        return InFolder(Path(rest).expanduser().absolute())
    if kind == "hf-hub" and rest.count("/") == 1:
        repository, _, revision = rest.partition("@")
        return OnHub(repository, revision or None)
    architecture, _, tag = kind.partition("/")
    if not rest and architecture and tag:
        return Published(architecture, tag)
    raise ModelError(f"{name!r} doesn't say which model. Allowed: {', '.join(FORMS)}.")
