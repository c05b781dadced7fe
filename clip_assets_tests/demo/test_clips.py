"""The bundled clips show what their script draws, at the times it states, and the demo model recognises it."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from clip.clip import _transform
from PIL import Image

from clip_assets.demo import demo_checkpoint, demo_clips, demo_sentences
from clip_assets.demo.clips import CLIPS, Clip, frames, write
from clip_assets.demo.evaluate import load, sentence_probabilities

EACH_CLIP = pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)


def bundled(clip: Clip) -> Path:
    return next(path for path in demo_clips() if path.name == clip.name)


def decode(path: Path) -> tuple[list[np.ndarray], list[float], set[int]]:
    """Give the frames turned upright, their times in ms, and the rotations found."""
    with av.open(str(path)) as container:
        decoded = list(container.decode(video=0))
    upright = [np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90) for frame in decoded]
    return upright, [float(frame.pts * frame.time_base * 1000) for frame in decoded], {f.rotation for f in decoded}


def test_the_clips_are_few_and_small() -> None:
    assert [path.name for path in demo_clips()] == sorted(clip.name for clip in CLIPS)
    assert "shapes.mp4" in {clip.name for clip in CLIPS}
    assert sum(path.stat().st_size for path in demo_clips()) < 150_000


@EACH_CLIP
def test_a_clip_shows_what_was_drawn_when_it_should(clip: Clip) -> None:
    pixels, times_ms, rotations = decode(bundled(clip))
    drawn = frames(clip)
    assert len(pixels) == len(drawn)
    assert times_ms == pytest.approx(clip.times_ms[:-1], abs=1e-6)
    assert rotations == {clip.rotation_degrees}
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(pixels, drawn, strict=True)) < 4


@EACH_CLIP
def test_a_clip_lasts_until_its_last_frame_has_been_shown(clip: Clip) -> None:
    with av.open(str(bundled(clip))) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base * 1000) == pytest.approx(clip.times_ms[-1], abs=0.1)


def test_one_clip_has_uneven_times_and_one_is_rotated() -> None:
    _, times_ms, _ = decode(bundled(CLIPS[1]))
    _, _, rotations = decode(bundled(CLIPS[2]))
    assert len(set(np.diff(times_ms).round(3))) >= 4
    assert rotations == {-90}


@EACH_CLIP
def test_the_script_makes_the_bundled_clip_again(clip: Clip, tmp_path: Path) -> None:
    write(clip, tmp_path / clip.name)
    pixels, times_ms, rotations = decode(bundled(clip))
    pixels_again, times_again_ms, rotations_again = decode(tmp_path / clip.name)
    assert times_again_ms == times_ms
    assert rotations_again == rotations
    # Another release of libx264 may choose other bits, but not another picture.
    assert max(np.abs(a.astype(int) - b).mean() for a, b in zip(pixels, pixels_again, strict=True)) < 1


@EACH_CLIP
def test_the_demo_model_recognises_each_stretch(clip: Clip) -> None:
    model = load(demo_checkpoint())
    preprocess = _transform(model.visual.input_resolution)
    images = torch.stack(
        [preprocess(Image.fromarray(np.ascontiguousarray(frame))) for frame in decode(bundled(clip))[0]]
    )
    probabilities = sentence_probabilities(model, images, demo_sentences())
    start = 0
    for stretch in clip.stretches:
        column = demo_sentences().index(f"a photo of a {stretch.colour} {stretch.kind}")
        # A codec may smear a cut over the frames beside it.
        inner = probabilities[start + 1 : start + stretch.frame_count - 1, column]
        assert (inner > 0.9).float().mean() >= 0.95, (stretch, inner)
        start += stretch.frame_count
