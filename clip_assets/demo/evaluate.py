"""Measures the demo model: `python -m clip_assets.demo.evaluate` logs its accuracy per template on unseen frames."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from clip_assets.demo import TEMPLATES, demo_checkpoint, demo_sentences
from clip_assets.demo.samples import random_frame

if TYPE_CHECKING:
    import torch
    from clip.model import CLIP

EVALUATION_SEED = 1_000_000
"""Seed of the frames that the model is measured on; training refuses it."""

_BATCH = 500
_log = logging.getLogger(__name__)


def load(checkpoint: Path) -> "CLIP":
    """Give the model of a state_dict file, in evaluation mode and float32, on the CPU."""
    import torch
    from clip.model import build_model

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return build_model(state).float()


def sentence_probabilities(model: "CLIP", images: "torch.Tensor", sentences: tuple[str, ...]) -> "torch.Tensor":
    """Give how well each image matches each sentence, as CLIP does: softmax over scaled cosines.

    Args:
        model: The model.
        images: Preprocessed, float32 (N, 3, R, R).
        sentences: The texts to choose from.

    Returns:
        Probabilities, float32 (N, texts); rows sum to 1.
    """
    import clip
    import torch

    with torch.inference_mode():
        logits, _ = model(images, clip.tokenize(list(sentences)))
    return logits.softmax(dim=-1)


def accuracies(model: "CLIP", count: int, templates: tuple[str, ...] = TEMPLATES) -> dict[str, float]:
    """Measure how often the most probable of one template's sentences is the right one.

    Args:
        model: The model, in evaluation mode.
        count: How many frames of `EVALUATION_SEED` to judge.
        templates: The sentence forms, judged one by one.

    Returns:
        Per template the share of frames, 0 to 1, whose best sentence among all colours and shapes is right.
    """
    import torch
    from clip.clip import _transform
    from PIL import Image

    preprocess = _transform(model.visual.input_resolution)
    right = dict.fromkeys(templates, 0)
    for start in range(0, count, _BATCH):
        frames = [random_frame(EVALUATION_SEED, k) for k in range(start, min(start + _BATCH, count))]
        images = torch.stack([preprocess(Image.fromarray(frame)) for frame, _ in frames])
        labels = torch.tensor([label for _, label in frames])
        for template in templates:
            best = sentence_probabilities(model, images, demo_sentences(template)).argmax(dim=-1)
            right[template] += int((best == labels).sum())
    return {template: hits / count for template, hits in right.items()}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=demo_checkpoint(), help="state_dict to measure")
    parser.add_argument("--count", type=int, default=4000, help="number of frames")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for template, accuracy in accuracies(load(arguments.checkpoint), arguments.count).items():
        _log.info("%.2f %% of %d frames: %s", 100 * accuracy, arguments.count, template)


if __name__ == "__main__":
    main()
