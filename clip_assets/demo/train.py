"""Makes the demo model from nothing: `python -m clip_assets.demo.train` rewrites `shapes.pth`.

Trains a tiny CLIP (a ResNet of 64 x 64 pixels, a text transformer of width 64) on random frames of coloured shapes.
All frames are drawn first, by two processes, into a pool (0.75 GB) that training then goes through in random order.
"""

import argparse
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_assets.demo import TEMPLATES, demo_checkpoint, demo_sentences
from clip_assets.demo.evaluate import EVALUATION_SEED, accuracies, load
from clip_assets.demo.samples import EMPTY, random_frame

if TYPE_CHECKING:
    import torch
    from clip.model import CLIP

_RESOLUTION = 64
_WIDTH = 64
_CONTEXT_LENGTH = 77
_VOCABULARY = 49408
_POOL = 60_000
_BATCH = 64
_EMPTY_SHARE = 0.04
_PEAK_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 0.2
_MAX_LOGIT_SCALE = math.log(100)

_log = logging.getLogger(__name__)


class TrainingFrames:
    """The first `count` frames of a seed, a map-style data set of (uint8 (3, R, R) cropped as CLIP does, class)."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed = seed
        self._count = count
        self._crop = _official_transform()[:2]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple["torch.Tensor", int]:
        from PIL import Image
        from torchvision.transforms.functional import pil_to_tensor

        frame, label = random_frame(self._seed, index, _EMPTY_SHARE)
        image = Image.fromarray(frame)
        for step in self._crop:
            image = step(image)
        return pil_to_tensor(image), label


def train(seed: int, steps: int) -> "CLIP":
    """Train a new model on the CPU.

    Args:
        seed: Seed of the weights and of the frames.
        steps: Number of batches.

    Returns:
        The model, float32, in evaluation mode, with the official tokenizer's whole vocabulary.
    """
    import torch
    from torch.optim.lr_scheduler import OneCycleLR

    torch.manual_seed(seed)
    words, tokens = _tokens().unique(return_inverse=True)
    model = _new_model(len(words)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=_PEAK_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, _PEAK_LEARNING_RATE, total_steps=steps, pct_start=0.05)
    classes = torch.arange(tokens.shape[1])
    start = time.monotonic()
    for step, (images, labels) in enumerate(_batches(seed, steps), start=1):
        templates = torch.randint(len(tokens), classes.shape)
        logits, _ = model(images.to(memory_format=torch.channels_last), tokens[templates, classes])
        loss = contrastive_loss(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        model.logit_scale.data.clamp_(max=_MAX_LOGIT_SCALE)
        if step % 100 == 0 or step == steps:
            seconds = time.monotonic() - start
            _log.info("step %d of %d: loss %.4f, %.0f s", step, steps, loss.item(), seconds)
    model.token_embedding = _whole_vocabulary(model.token_embedding, words)
    return model.eval()


def contrastive_loss(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Give CLIP's symmetric loss for a batch in which several images may share a sentence.

    Each image has to find its sentence among all, an empty frame none of them (its target is the even spread); each
    sentence that is shown has to find all of its images, in equal parts (supervised contrastive learning, Khosla et
    al. 2020).

    Args:
        logits: Scaled cosines, (images, classes).
        labels: int64 (images,), classes or `EMPTY`.

    Returns:
        The loss, a scalar.
    """
    import torch
    from torch.nn.functional import cross_entropy

    class_count = logits.shape[1]
    matches = (labels[:, None] == torch.arange(class_count)).float()
    image_targets = torch.where((labels == EMPTY)[:, None], 1 / class_count, matches)
    shown = matches.any(dim=0)
    text_targets = (matches / matches.sum(dim=0)).T[shown]
    return (cross_entropy(logits, image_targets) + cross_entropy(logits.T[shown], text_targets)) / 2


def save(model: "CLIP", path: Path) -> None:
    """Write a model's state_dict, in float16 but for integer counters."""
    import torch

    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    torch.save(state, path)


def _new_model(vocabulary: int) -> "CLIP":
    """Give a random CLIP of 0.65 million parameters beside its embedding of words."""
    import torch
    from clip.model import CLIP

    model = CLIP(
        embed_dim=_WIDTH,
        image_resolution=_RESOLUTION,
        vision_layers=(1, 2, 1, 1),
        vision_width=10,
        vision_patch_size=None,
        context_length=_CONTEXT_LENGTH,
        vocab_size=vocabulary,
        transformer_width=_WIDTH,
        transformer_heads=_WIDTH // 64,
        transformer_layers=2,
    )
    return model.to(memory_format=torch.channels_last)  # 1.4 times faster on a CPU


def _tokens() -> "torch.Tensor":
    """Give all sentences' tokens, int64 (templates, classes, L), cut behind the longest sentence.

    Attention is causal: the padding cut away has no effect on what is read at a sentence's end.
    """
    import clip
    import torch

    tokens = torch.stack([clip.tokenize(list(demo_sentences(template))) for template in TEMPLATES]).long()
    return tokens[..., : int((tokens != 0).sum(dim=-1).max())]


def _whole_vocabulary(embedding: "torch.nn.Embedding", words: "torch.Tensor") -> "torch.nn.Embedding":
    """Give the embedding of all words of the official tokenizer, of which only `words` were trained.

    The others stay at zero: they say nothing rather than something arbitrary, and they compress well.
    """
    import torch

    whole = torch.nn.Embedding(_VOCABULARY, embedding.embedding_dim)
    whole.weight.data.zero_()
    whole.weight.data[words] = embedding.weight.data
    return whole


def _official_transform() -> list[Callable[..., Any]]:
    """Give the steps of CLIP's own preprocessing: resize, centre crop, to RGB, to a tensor, normalise."""
    from clip.clip import _transform

    return list(_transform(_RESOLUTION).transforms)


def _draw_pool(seed: int) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Draw the training data in other processes: uint8 (N, 3, R, R) and classes, int64 (N,)."""
    import torch
    from torch.utils.data import DataLoader

    frames = TrainingFrames(seed, _POOL)
    images, labels = zip(*DataLoader(frames, batch_size=500, num_workers=2), strict=True)  # type: ignore[arg-type]
    return torch.cat(images), torch.cat(labels)


def _batches(seed: int, steps: int) -> Iterator[tuple["torch.Tensor", "torch.Tensor"]]:
    """Give random batches of the pool, half of them mirrored: normalised float32 (B, 3, R, R) and classes."""
    import torch

    normalise = _official_transform()[-1]
    pool, classes = _draw_pool(seed)
    _log.info("drew %d frames", len(pool))
    for step in range(steps):
        picked = torch.randint(len(pool), (_BATCH,))
        images = pool[picked].flip(-1) if step % 2 else pool[picked]
        yield normalise(images.float() / 255), classes[picked]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=demo_checkpoint(), help="file to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of the weights and the frames")
    parser.add_argument("--steps", type=int, default=6000, help="number of batches of 64 frames")
    arguments = parser.parse_args()
    if arguments.seed == EVALUATION_SEED:
        parser.error(f"--seed {EVALUATION_SEED} is kept for the evaluation's frames; choose another")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    save(train(arguments.seed, arguments.steps), arguments.output)
    for template, accuracy in accuracies(load(arguments.output), 1000).items():
        _log.info("%.1f %% of 1000 unseen frames: %s", 100 * accuracy, template)


if __name__ == "__main__":
    main()
