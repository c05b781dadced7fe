"""OpenAI's CLIP of 2021, the demo model and checkpoints of one's own in the same layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clip_assets.core.model.family import Family
from clip_assets.core.model.openai.weights import MODEL_NAMES, file_is_here, model_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from clip_assets.core.model.clip_model import ClipModel, Precision


def _load(name: str, checkpoint: Path | None, folder: Path, device: str, precision: Precision) -> ClipModel:
    from clip_assets.core.model.openai.loading import load  # numpy and more, that settings need not wait for

    return load(name, checkpoint, folder, device, precision)


OPENAI = Family(
    name="openai",
    model_names=MODEL_NAMES,
    knows=lambda name: name in MODEL_NAMES,
    takes_checkpoint=lambda name: name == "custom",
    sha256=model_sha256,
    is_here=file_is_here,
    load=_load,
    preprocessing="torch uint8 bicubic antialias 1",
    gpu_precision="fp16",
    language_note="OpenAI's CLIP reads English: a sentence in another language finds little.",
)
