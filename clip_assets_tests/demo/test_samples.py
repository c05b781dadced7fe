"""Random frames depend on their seed and number alone and show what their label says."""

import numpy as np
import pytest

from clip_assets.demo import demo_classes
from clip_assets.demo.samples import EMPTY, random_frame


def test_a_frame_depends_on_seed_and_number_alone() -> None:
    frame, label = random_frame(7, 3)
    again, label_again = random_frame(7, 3)
    np.testing.assert_array_equal(frame, again)
    assert label == label_again
    assert not np.array_equal(random_frame(7, 4)[0], frame)
    assert not np.array_equal(random_frame(8, 3)[0], frame)


def test_frames_keep_to_the_sizes_they_promise() -> None:
    shapes = [random_frame(5, k)[0].shape for k in range(200)]
    assert all(depth == 3 for _, _, depth in shapes)
    assert all(64 <= side <= 320 for height, width, _ in shapes for side in (height, width))
    assert all(max(height, width) / min(height, width) <= 16 / 9 + 0.02 for height, width, _ in shapes)
    assert any(height > width for height, width, _ in shapes)


def test_every_class_turns_up() -> None:
    labels = {random_frame(5, k)[1] for k in range(350)}
    assert labels == set(range(len(demo_classes())))


def test_empty_frames_come_in_the_share_asked_for() -> None:
    labels = np.array([random_frame(5, k, empty_share=0.5)[1] for k in range(200)])
    assert (labels == EMPTY).mean() == pytest.approx(0.5, abs=0.1)
    assert all(random_frame(5, k, empty_share=1.0)[1] == EMPTY for k in range(5))
