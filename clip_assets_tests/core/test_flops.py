"""The work of a picture, against torch's own counter."""

import pytest
import torch
from clip.model import CLIP
from torch.utils.flop_counter import FlopCounterMode

from clip_assets.core.flops import image_flops

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
