"""Training uses the right loss, learns, repeats itself for a seed, and writes what evaluation reads."""

from pathlib import Path

import pytest
import torch

from clip_assets.demo import train
from clip_assets.demo.evaluate import EVALUATION_SEED, load
from clip_assets.demo.samples import EMPTY


def test_the_loss_of_distinct_images_is_that_of_clip() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    labels = torch.tensor([0, 1])
    cross_entropy = torch.nn.functional.cross_entropy
    expected = (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)) / 2
    assert train.contrastive_loss(logits, labels).item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_loss_shares_a_sentence_between_its_images_and_spares_those_not_shown() -> None:
    logits = torch.zeros(2, 3)
    labels = torch.tensor([1, 1])
    # Images: ln 3 each. The one shown sentence: its two images in equal parts, ln 2.
    expected = (torch.tensor(3.0).log() + torch.tensor(2.0).log()) / 2
    assert train.contrastive_loss(logits, labels).item() == pytest.approx(expected.item(), abs=1e-6)


def test_an_empty_frame_is_least_wrong_when_it_matches_nothing_in_particular() -> None:
    labels = torch.tensor([0, EMPTY])
    even = train.contrastive_loss(torch.tensor([[9.0, 0.0], [0.0, 0.0]]), labels)
    sure = train.contrastive_loss(torch.tensor([[9.0, 0.0], [0.0, 9.0]]), labels)
    assert even < sure


@pytest.fixture
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "_POOL", 64)


@pytest.mark.usefixtures("small_pool")
def test_training_repeats_itself_and_its_file_loads(tmp_path: Path) -> None:
    first, second = train.train(seed=3, steps=2), train.train(seed=3, steps=2)
    train.save(first, tmp_path / "model.pth")
    loaded = load(tmp_path / "model.pth").state_dict()
    for name, tensor in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], tensor)
        torch.testing.assert_close(loaded[name].double(), tensor.double(), atol=1e-4, rtol=1e-3)


def test_training_refuses_the_frames_it_is_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["train", "--seed", str(EVALUATION_SEED)])
    with pytest.raises(SystemExit):
        train.main()
