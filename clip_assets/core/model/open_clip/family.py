"""open_clip's models: by the names of its list, from the hub, in folders, and what comes with who offers them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from clip_assets.core.errors import ModelError
from clip_assets.core.model.family import SAME_SHOT_COSINE, USUAL_TEMPLATE, Family, Offer
from clip_assets.core.model.open_clip import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from clip_assets.core.model.clip_model import ClipModel, Precision
    from clip_assets.core.model.open_clip.files import ModelFiles


def open_clip_family(bundled: Mapping[str, Path]) -> Family:
    """The family, with models that come with whoever offers them.

    Args:
        bundled: By name the folder of such a model: its configuration, weights and tokenizer.
    """

    def find(name: str, *, download: bool = False) -> ModelFiles:
        from clip_assets.core.model.open_clip.files import find_files  # that settings need not wait for

        where = names.InFolder(bundled[name]) if name in bundled else names.parse(name)
        return find_files(where, name, download=download)

    def offers(folder: str | Path) -> Iterator[Offer]:
        from clip_assets.core.model.open_clip import catalogue

        for name in bundled:
            yield _offer(name, find(name).config, is_here(name, folder))
        for key in catalogue.listing():
            config = catalogue.architecture_config(key.partition("/")[0])
            yield _offer(name := f"{names.PREFIX}{key}", config, is_here(name, folder))

    def is_here(name: str, folder: str | Path) -> bool:
        try:
            find(name)
        except ModelError:
            return False
        return True

    def load(
        name: str, checkpoint: str | Path | None, folder: str | Path, device: str, precision: Precision
    ) -> ClipModel:
        from clip_assets.core.model.open_clip import loading

        _refuse(checkpoint, name)
        return loading.load(name, partial(find, name, download=True), device, precision)

    def sha256(name: str, checkpoint: str | Path | None) -> str:
        _refuse(checkpoint, name)
        return find(name).sha256()

    return Family(
        name=names.FAMILY,
        model_names=(*bundled, *names.FORMS),
        offers=offers,
        knows=lambda name: name.startswith(names.PREFIX),
        takes_checkpoint=lambda name: False,
        fetch=partial(find, download=True),
        sha256=sha256,
        is_here=is_here,
        load=load,
        preprocessing="torch uint8 as open_clip's 1",
        gpu_precision="fp16",
        template=USUAL_TEMPLATE,
        same_shot_cosine=SAME_SHOT_COSINE,
        language_note="Most CLIPs read English: with those a sentence in another language finds little.",
    )


def _offer(name: str, config: Mapping[str, Any], is_here: bool) -> Offer:
    from clip_assets.core.model.open_clip.catalogue import score_kind

    return Offer(name, config["embed_dim"], config["vision_cfg"].get("image_size"), score_kind(config), is_here)


def _refuse(checkpoint: str | Path | None, name: str) -> None:
    if checkpoint is not None:
        raise ModelError(
            f"Model {name!r} has weights of its own, but checkpoint {checkpoint} was given too. Leave the checkpoint "
            f"out; for weights of your own name their folder, {names.PREFIX}local-dir:FOLDER."
        )
