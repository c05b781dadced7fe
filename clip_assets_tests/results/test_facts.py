from __future__ import annotations

import pytest

from clip_assets.core.sampling import Sampling
from clip_assets.results.facts import sampling_words


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(), "every frame"),
        (Sampling(extraction_fps=29.97, frame_selection="ffmpeg"), "29.97 per second, the frame that ffmpeg's fps"),
        (Sampling(extraction_total=8), "8 in all, evenly spaced, the frame on screen"),
    ],
)
def test_every_sampling_has_its_words(sampling: Sampling, words: str) -> None:
    assert sampling_words(sampling.parameters).startswith(words)
