"""The work of a picture, against torch's own counter."""

from pathlib import Path

import pytest
import torch
from clip.model import CLIP
from torch.utils.flop_counter import FlopCounterMode

from clip_assets.core.model.openai.flops import image_flops
from clip_assets.models import load_model
from clip_assets_tests.making.checkpoints import random_resnet

TEXT = (77, 49408, 512, 8, 2)


@pytest.mark.parametrize(
    "sizes",
    [
        (512, 224, 12, 768, 32, *TEXT),
        (512, 224, 12, 768, 16, *TEXT),
        (768, 336, 24, 1024, 14, *TEXT),
        (1024, 224, (3, 4, 6, 3), 64, None, *TEXT),
        (640, 288, (4, 6, 10, 6), 80, None, *TEXT),
    ],
    ids=["ViT-B/32", "ViT-B/16", "ViT-L/14@336px", "RN50", "RN50x4"],
)
def test_what_torch_counts(sizes: tuple) -> None:
    with torch.device("meta"):
        network = CLIP(*sizes)
        picture = torch.empty(1, 3, sizes[1], sizes[1])
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval().encode_image(picture)
    assert image_flops(network) == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_vit_b_32s_is_the_published_one() -> None:
    """4.4 G multiply-accumulates."""
    with torch.device("meta"):
        network = CLIP(512, 224, 12, 768, 32, *TEXT)
    assert image_flops(network) == pytest.approx(2 * 4.4e9, rel=0.01)


def test_a_loaded_model_knows_it(tmp_path: Path) -> None:
    model = load_model("custom", checkpoint=random_resnet(tmp_path / "resnet.pth"), weights_folder=tmp_path)
    assert model.image_flops == image_flops(model.network) > 0
