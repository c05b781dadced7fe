"""OpenAI's CLIP of 2021, and what others trained in the same layout: models they bundle, checkpoints of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_assets.core.model.family import SAME_SHOT_COSINE, USUAL_TEMPLATE, Family, Offer
from clip_assets.core.model.openai.weights import OPENAI_SIZES, OPENAI_URLS, file_is_here, find_weights, model_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from clip_assets.core.model.clip_model import ClipModel, Precision


def openai_family(bundled: Mapping[str, Path]) -> Family:
    """The family, with models that come with whoever offers them.

    Args:
        bundled: By name the file of such a model's weights, a checkpoint in OpenAI's layout.
    """
    names = (*OPENAI_URLS, *bundled, "custom")

    def offers(folder: str | Path) -> Iterator[Offer]:
        for name in OPENAI_URLS:
            yield Offer(name, *OPENAI_SIZES[name], "softmax", file_is_here(name, folder))
        for name in (*bundled, "custom"):
            yield Offer(name, None, None, "softmax", is_here=True)

    def load(
        name: str, checkpoint: str | Path | None, folder: str | Path, device: str, precision: Precision
    ) -> ClipModel:
        from clip_assets.core.model.openai import loading  # numpy and more, that settings need not wait for

        path = find_weights(name, bundled, checkpoint=checkpoint, folder=folder)
        return loading.load(name, path, device, precision)

    return Family(
        name="openai",
        model_names=names,
        offers=offers,
        knows=lambda name: name in names,
        takes_checkpoint=lambda name: name == "custom",
        fetch=lambda name: None,
        sha256=lambda name, checkpoint: model_sha256(name, bundled, checkpoint),
        is_here=file_is_here,
        load=load,
        preprocessing="torch uint8 bicubic antialias 1",
        gpu_precision="fp16",
        template=USUAL_TEMPLATE,
        same_shot_cosine=SAME_SHOT_COSINE,
        language_note="OpenAI's CLIP reads English: a sentence in another language finds little.",
    )
