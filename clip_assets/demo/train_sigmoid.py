"""Makes the second demo model: `python -m clip_assets.demo.train_sigmoid` rewrites the folder `sigmoid`.

Its layout is SigLIP's, by open_clip: a sigmoid for each pair with a scale and a bias that are learnt, a text encoder
that sees all tokens at once, pictures squashed, and a tokenizer of its own. Its image encoder begins with that of
`shapes.pth`, so that minutes are enough.
"""

import argparse
import json
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clip_assets.core.model.openai.transform import transform
from clip_assets.core.model.preprocess import Preprocess
from clip_assets.demo import TEMPLATES, demo_checkpoint, demo_sentences, sigmoid_demo
from clip_assets.demo.evaluate import EVALUATION_SEED
from clip_assets.demo.samples import random_frame

if TYPE_CHECKING:
    import torch
    from open_clip import CustomTextCLIP

MODEL = {
    "embed_dim": 64,
    "init_logit_scale": math.log(10),
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {"image_size": 64, "layers": [1, 2, 1, 1], "width": 10, "patch_size": None},
    "text_cfg": {
        "context_length": 16,
        "vocab_size": 32,
        "hf_tokenizer_name": "clip_assets/demo",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "width": 64,
        "heads": 1,
        "layers": 2,
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
    },
}
"""As open_clip's classes take it."""

PREPROCESSING = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}

_PREPROCESS = Preprocess(64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), fit="squash")
_PAD, _UNKNOWN, _END = "[PAD]", "[UNK]", "[EOS]"
_POOL = 8_000
_BATCH = 64
_EMPTY_SHARE = 0.1
_PEAK_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 0.05

_log = logging.getLogger(__name__)


class SquashedFrames:
    """The first `count` frames of a seed, a map-style data set of (uint8 (3, 64, 64), class)."""

    def __init__(self, seed: int, count: int, empty_share: float) -> None:
        self._seed, self._count, self._empty_share = seed, count, empty_share

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple["torch.Tensor", int]:
        frame, label = random_frame(self._seed, index, self._empty_share)
        return _PREPROCESS.resize_crop(frame), label


def write_tokenizer(folder: Path) -> None:
    """Write the tokenizer: a token for each word of the sentences, one for all others, and one behind the last."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for template in TEMPLATES for text in demo_sentences(template) for word in text.split()})
    vocabulary = {word: place for place, word in enumerate([_PAD, _UNKNOWN, _END, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {_END}", special_tokens=[(_END, vocabulary[_END])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=_PAD, unk_token=_UNKNOWN, eos_token=_END
    ).save_pretrained(folder)


def sigmoid_loss(logits: "torch.Tensor", labels: "torch.Tensor") -> "torch.Tensor":
    """Give SigLIP's loss (Zhai et al. 2023, algorithm 1) of frames and sentences; an empty frame goes with none.

    Args:
        logits: Scaled cosines plus the bias, (frames, classes).
        labels: int64 (frames,), classes or `EMPTY`.

    Returns:
        The loss, a scalar: a sum over the sentences, a mean over the frames.
    """
    import torch
    from torch.nn.functional import logsigmoid

    signs = 2.0 * (labels[:, None] == torch.arange(logits.shape[1])) - 1
    return -logsigmoid(signs * logits).sum(dim=1).mean()


def train(seed: int, steps: int, tokens: "torch.Tensor") -> "CustomTextCLIP":
    """Train the model on the CPU.

    Args:
        seed: Seed of the weights and of the frames.
        steps: Number of batches.
        tokens: int64 (templates, classes, L), of all sentences.

    Returns:
        The model, float32, in evaluation mode.
    """
    import torch
    from torch.optim.lr_scheduler import OneCycleLR

    torch.manual_seed(seed)
    model = _new_model()
    images, labels = _draw(seed, _POOL, _EMPTY_SHARE)
    _log.info("drew %d frames", len(images))
    optimizer = torch.optim.AdamW(model.parameters(), lr=_PEAK_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = OneCycleLR(optimizer, _PEAK_LEARNING_RATE, total_steps=steps, pct_start=0.1)
    classes = torch.arange(tokens.shape[1])
    start = time.monotonic()
    for step in range(1, steps + 1):
        picked = torch.randint(len(images), (_BATCH,))
        batch = _PREPROCESS.normalise(images[picked].flip(-1) if step % 2 else images[picked])
        batch = batch.to(memory_format=torch.channels_last)
        sentences = tokens[torch.randint(len(tokens), classes.shape), classes]
        pictures, texts = model.encode_image(batch, normalize=True), model.encode_text(sentences, normalize=True)
        loss = sigmoid_loss(model.logit_scale.exp() * pictures @ texts.T + model.logit_bias, labels[picked])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            _log.info("step %d of %d: loss %.4f, %.0f s", step, steps, loss.item(), time.monotonic() - start)
    return model.eval()


def measured(model: "CustomTextCLIP", tokens: "torch.Tensor", count: int) -> list[tuple[float, float]]:
    """Measure, on unseen frames, for each template how often the best sentence and how often every one is judged right.

    A sentence is judged right if its probability is above a half just where it is what the frame shows.

    Args:
        model: The model.
        tokens: int64 (templates, classes, L), of all sentences.
        count: How many frames.
    """
    import torch

    images, labels = _draw(EVALUATION_SEED, count, 0.0)
    found = []
    with torch.inference_mode():
        pictures = model.encode_image(_PREPROCESS.normalise(images), normalize=True)
        for of_template in tokens:
            texts = model.encode_text(of_template, normalize=True)
            logits = model.logit_scale.exp() * pictures @ texts.T + model.logit_bias
            is_shown = labels[:, None] == torch.arange(logits.shape[1])
            best = (logits.argmax(dim=1) == labels).float().mean().item()
            found.append((best, ((logits > 0) == is_shown).all(dim=1).float().mean().item()))
    return found


def sentence_tokens(folder: Path) -> "torch.Tensor":
    """Give all sentences' tokens by the tokenizer in a folder, int64 (templates, classes, L)."""
    import torch
    from open_clip.tokenizer import HFTokenizer

    text: Any = MODEL["text_cfg"]
    tokenizer = HFTokenizer(str(folder), context_length=text["context_length"], **text["tokenizer_kwargs"])
    return torch.stack([tokenizer(list(demo_sentences(template))) for template in TEMPLATES])


def _new_model() -> "CustomTextCLIP":
    """Give the model with random weights but for the image encoder, which is that of the first demo model."""
    import torch
    from open_clip import CustomTextCLIP

    config = {key: value for key, value in MODEL.items() if key != "custom_text"}
    model = CustomTextCLIP(**config).train()
    state = torch.load(demo_checkpoint(), map_location="cpu", weights_only=True)
    of_images = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    model.visual.load_state_dict({key: value.float() for key, value in of_images.items()})
    # It was trained on pictures with CLIP's mean and deviation; by these weights it sees about the same of ours.
    first, before = model.visual.conv1, transform(64)
    deviations = torch.tensor(_PREPROCESS.std) / torch.tensor(before.std)
    first.weight.data *= deviations.view(1, 3, 1, 1)
    return model.to(memory_format=torch.channels_last)


def _draw(seed: int, count: int, empty_share: float) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Draw frames in other processes: uint8 (N, 3, 64, 64) and classes, int64 (N,)."""
    import torch
    from torch.utils.data import DataLoader

    frames: Any = SquashedFrames(seed, count, empty_share)
    images, labels = zip(*DataLoader(frames, batch_size=500, num_workers=2), strict=True)
    return torch.cat(images), torch.cat(labels)


def _save(model: "CustomTextCLIP", folder: Path) -> None:
    """Write configuration and weights as a folder of open_clip's has them, in float16 but for integer counters."""
    from safetensors.torch import save_file

    written = {"model_cfg": MODEL, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    state = model.state_dict()
    halved = {name: (value.half() if value.is_floating_point() else value) for name, value in state.items()}
    save_file({name: value.contiguous() for name, value in halved.items()}, folder / "open_clip_model.safetensors")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=sigmoid_demo(), help="folder to write")
    parser.add_argument("--seed", type=int, default=1, help="seed of the weights and the frames")
    parser.add_argument("--steps", type=int, default=400, help="number of batches of 64 frames")
    arguments = parser.parse_args(argv)
    if arguments.seed == EVALUATION_SEED:
        parser.error(f"--seed {EVALUATION_SEED} is kept for the evaluation's frames; choose another")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_tokenizer(arguments.output)
    tokens = sentence_tokens(arguments.output)
    model = train(arguments.seed, arguments.steps, tokens)
    _save(model, arguments.output)
    for template, (best, all_right) in zip(TEMPLATES, measured(model, tokens, 1000), strict=True):
        _log.info("%.1f %% best, %.1f %% all judged right: %s", 100 * best, 100 * all_right, template)


if __name__ == "__main__":
    main()
