"""The picture that the model gets is the one that a player shows."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clip_assets.core.errors import DecoderRefusedError, VideoUnreadableError
from clip_assets.core.model.openai.transform import transform
from clip_assets.core.pictures.sheets import thumbnails
from clip_assets.core.video import decode, probe
from clip_assets_tests.making import corpus, corpus_shown
from clip_assets_tests.making.corpus import Clip

WIDE = Fraction(5, 3)  # 96 x 64 pixels are shown as 160 x 64
TALL = Fraction(1, 3)  # and as 32 x 64

# File name -> how it is written, and how many times as wide as high its pixels are once the picture is upright.
ANAMORPHIC: dict[str, tuple[Callable[[Path], Clip], Fraction]] = {
    "wide.mp4": (partial(corpus_shown.anamorphic, aspect=WIDE), WIDE),
    "wide.mkv": (partial(corpus_shown.anamorphic, aspect=WIDE), WIDE),
    "tall.mov": (partial(corpus_shown.anamorphic, aspect=TALL), TALL),
    "codec_alone.ts": (partial(corpus_shown.anamorphic, aspect=WIDE), WIDE),
    "container_alone.mov": (partial(corpus_shown.anamorphic_by_container, aspect=WIDE, codec_aspect=Fraction(1)), WIDE),
    "container_wins.mp4": (partial(corpus_shown.anamorphic_by_container, aspect=WIDE, codec_aspect=TALL), WIDE),
    "on_its_side.mp4": (partial(corpus_shown.anamorphic, aspect=1 / WIDE, orientation="90"), WIDE),
    "transposed.mp4": (partial(corpus_shown.anamorphic, aspect=1 / TALL, orientation="transposed"), TALL),
    "upside_down.mp4": (partial(corpus_shown.anamorphic, aspect=TALL, orientation="180"), TALL),
}


@pytest.mark.parametrize("name", ANAMORPHIC)
def test_pixels_that_arent_square_are_shown_as_players_show_them(name: str, tmp_path: Path) -> None:
    writer, aspect = ANAMORPHIC[name]
    clip = writer(tmp_path / name)
    found = probe(clip.path)
    assert (found.width, found.height) == corpus.SIZE
    assert found.sample_aspect_ratio == aspect
    assert found.treatment == {"sample_aspect_ratio": f"{aspect.numerator}:{aspect.denominator}"}
    with decode(found, np.array([6])) as frames:
        seen = transform(32).resize_crop(next(frames).rgb, found.sample_aspect_ratio)
    square = corpus.draw(6, round(96 * aspect), 64)
    expected = transform(32).resize_crop(square)
    assert (seen.float() - expected.float()).abs().mean() < 8
    (small,) = thumbnails(found, np.array([6])).values()
    assert small.width / small.height == pytest.approx(96 * aspect / 64, rel=0.02)


def test_square_pixels_are_left_as_they_are(tmp_path: Path) -> None:
    found = probe(corpus.constant_rate(tmp_path / "square.mp4").path)
    assert (found.sample_aspect_ratio, found.treatment) == (1, {})


def test_pixels_of_a_shape_that_no_video_has_are_taken_for_square(tmp_path: Path) -> None:
    clip = corpus_shown.anamorphic(tmp_path / "mistaken.mkv", Fraction(1, 100))
    assert probe(clip.path).treatment == {}


CROPPED: dict[str, Callable[[Path], Clip]] = {
    "cropped.mp4": corpus_shown.cropped,
    "cropped.mov": corpus_shown.cropped,
    "cropped.mkv": corpus_shown.cropped,
}


@pytest.mark.parametrize("name", CROPPED)
def test_what_the_container_crops_is_left_out(name: str, tmp_path: Path) -> None:
    clip = CROPPED[name](tmp_path / name)
    found = probe(clip.path)
    assert (found.width, found.height, found.crop) == (clip.width, clip.height, corpus_shown.CROP)
    assert found.treatment["crop"] == "12 left, 8 top, 4 right, 16 bottom"
    with decode(found, np.array([5, 23])) as frames:
        for frame in frames:
            expected = corpus.draw(frame.index, clip.width, clip.height)
            assert np.abs(frame.rgb.astype(int) - expected).mean() < 6


def test_a_picture_is_cropped_before_it_is_turned(tmp_path: Path) -> None:
    stored = corpus_shown.cropped(tmp_path / "stored.mp4").path
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(stored.read_bytes())
    corpus.patch_matrix(turned, corpus.ORIENTATIONS["90"][0])
    pictures = []
    for path in (stored, turned):
        with decode(path, np.array([5])) as frames:
            pictures.append(next(frames).rgb)
    assert (probe(turned).width, probe(turned).height) == (64, 96)
    np.testing.assert_allclose(pictures[1], np.rot90(pictures[0], -1), atol=3)


def test_colours_that_only_dolby_vision_knows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoUnreadableError, match="Dolby Vision"):
        probe(corpus_shown.dolby_vision(tmp_path / "profile_5.mp4", 5).path)
    assert probe(corpus_shown.dolby_vision(tmp_path / "profile_8.mp4", 8).path).treatment == {}


def test_decord_refuses_a_crop(tmp_path: Path) -> None:
    clip = corpus_shown.cropped(tmp_path / "cropped.mp4")
    with pytest.raises(DecoderRefusedError, match="crops"):
        decode(clip.path, np.array([0]), decoder="decord")
