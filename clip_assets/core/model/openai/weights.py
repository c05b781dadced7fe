"""Which file holds a model's weights: found, or downloaded once and checked; and its identity, the SHA-256."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from clip_assets.core.errors import ModelError
from clip_assets.core.file_systems import is_url
from clip_assets.core.model.fetched import local_weights, path_of
from clip_assets.core.model.file_digests import file_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

_OPENAI = "https://openaipublic.azureedge.net/clip/models"

# Where OpenAI publishes its weights; the last folder is the file's SHA-256 (openai/CLIP, clip/clip.py, _MODELS).
OPENAI_URLS: Mapping[str, str] = {
    "RN50": f"{_OPENAI}/afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt",
    "RN101": f"{_OPENAI}/8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599/RN101.pt",
    "RN50x4": f"{_OPENAI}/7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd/RN50x4.pt",
    "RN50x16": f"{_OPENAI}/52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa/RN50x16.pt",
    "RN50x64": f"{_OPENAI}/be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c/RN50x64.pt",
    "ViT-B/32": f"{_OPENAI}/40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
    "ViT-B/16": f"{_OPENAI}/5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f/ViT-B-16.pt",
    "ViT-L/14": f"{_OPENAI}/b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
    "ViT-L/14@336px": f"{_OPENAI}/3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt",
}

OPENAI_SIZES: Mapping[str, tuple[int, int]] = {
    **{"RN50": (1024, 224), "RN101": (512, 224), "RN50x4": (640, 288), "RN50x16": (768, 384), "RN50x64": (1024, 448)},
    **{"ViT-B/32": (512, 224), "ViT-B/16": (512, 224), "ViT-L/14": (768, 224), "ViT-L/14@336px": (768, 336)},
}
"""Numbers in a feature, and pixels of a picture's side."""

# Of model "custom", relative to the working directory.
DEFAULT_CHECKPOINT = Path("models/clip/checkpoints/CLIP-custom.pth")

_CONNECT_TIMEOUT_SECONDS = 30
_CHUNK_BYTES = 1 << 20


def find_weights(
    name: str, bundled: Mapping[str, Path], *, checkpoint: str | Path | None = None, folder: str | Path
) -> Path:
    """The file with the weights of model ``name``, absolute; one of OpenAI's is downloaded if it isn't there.

    Args:
        name: One of OpenAI's or of ``bundled``, or else "custom".
        bundled: By name the files of models that come with whoever offers them.
        checkpoint: The file of model "custom", or its URL (default: ``DEFAULT_CHECKPOINT``); no other model takes one.
        folder: Where OpenAI's weights are, or are downloaded to; or the URL of a folder that has them.

    Raises:
        ModelError: A checkpoint beside a name that has its own weights, no such file, failed download.
    """
    if checkpoint is not None and name != "custom":
        raise ModelError(
            f"Model {name!r} has weights of its own, but checkpoint {checkpoint} was given too. "
            "Leave the checkpoint out, or choose model 'custom' to load it."
        )
    if name in OPENAI_URLS:
        return ensure_weights(name, folder)
    if name in bundled:
        path, remedy = bundled[name], "It comes with the package that offers the model: install that again."
    else:
        path = local_weights(checkpoint or DEFAULT_CHECKPOINT)
        remedy = "Put the checkpoint there, or give the path of another."
    if not path.is_file():
        raise ModelError(f"The weights of model {name!r} were expected in the file {path}, which isn't there. {remedy}")
    return path


def file_is_here(name: str, folder: str | Path) -> bool:
    """Whether loading model ``name`` downloads nothing; ``folder`` is where OpenAI's weights are."""
    return name not in OPENAI_URLS or path_of(_location(OPENAI_URLS[name], folder)).exists()


def model_sha256(name: str, bundled: Mapping[str, Path], checkpoint: str | Path | None = None) -> str:
    """SHA-256 of a model's weights; of OpenAI's it is known without the file. The arguments are `find_weights`'.

    Raises:
        ModelError: The file isn't there.
    """
    if name in OPENAI_URLS:
        return OPENAI_URLS[name].split("/")[-2]
    return file_sha256(find_weights(name, bundled, checkpoint=checkpoint, folder=Path()))


def ensure_weights(name: str, folder: str | Path, urls: Mapping[str, str] = OPENAI_URLS) -> Path:
    """The file with OpenAI's weights of model ``name`` in ``folder``, absolute; downloaded if it isn't there.

    Args:
        name: A key of ``urls``.
        folder: Made if it doesn't exist; or the URL of one that has the file, which is then fetched from there.
        urls: Model name to URL; a URL ends in ``<SHA-256 of the file>/<file name>``.

    Raises:
        ModelError: The download failed, or the file isn't the one that was published.
    """
    url = urls[name]
    expected, location = url.split("/")[-2], _location(url, folder)
    path = local_weights(location)
    if not path.exists():
        _download(name, url, path)
    elif (actual := file_sha256(path)) != expected:
        raise ModelError(
            f"{location} is not OpenAI's {name}: its SHA-256 is {actual}, that of {name} is {expected}. Delete {path} "
            "to have it downloaded again; if it is a model of your own, load it as 'custom' with its path."
        )
    return path


def _location(url: str, folder: str | Path) -> str:
    place, mark, query = str(folder).partition("?") if is_url(str(folder)) else (str(folder), "", "")
    return f"{place.rstrip('/')}/{url.split('/')[-1]}{mark}{query}"


def _download(name: str, url: str, path: Path) -> None:
    """Fetch ``url`` to ``path``, which appears whole and with the SHA-256 in the URL, or not at all."""
    expected = url.split("/")[-2]
    advice = f"Fetch {path.name} (SHA-256 {expected}) from {url} by other means and put it at {path}."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as temporary:
            part = Path(temporary) / path.name
            actual = _fetch(url, part)
            if actual != expected:
                raise ModelError(
                    f"The download of {name}'s weights is damaged or incomplete: {part.stat().st_size} bytes arrived, "
                    f"with SHA-256 {actual}; expected {expected}. Try again. {advice}"
                )
            part.replace(path)
    except (OSError, HTTPException) as error:
        raise ModelError(f"The weights of {name} can't be downloaded: {error}. {advice}") from error


def _fetch(url: str, path: Path) -> str:
    """Write what ``url`` serves to ``path`` with a progress bar on standard error; its SHA-256."""
    from urllib.request import urlopen

    from tqdm import tqdm  # type: ignore[import-untyped]

    digest = hashlib.sha256()
    logger.info("Downloading %s", url)
    with urlopen(url, timeout=_CONNECT_TIMEOUT_SECONDS) as source, path.open("wb") as file:
        total = int(source.headers.get("Content-Length", 0)) or None
        with tqdm(total=total, unit="B", unit_scale=True, desc=path.name) as progress:
            while chunk := source.read(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                progress.update(len(chunk))
    return digest.hexdigest()
