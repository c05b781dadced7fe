"""HDR as an SDR screen shows it: the standards' own values, and whole files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clip_assets.core.errors import DecoderRefusedError
from clip_assets.core.video import decode, probe
from clip_assets.core.video.tone import KNEE, hlg_scene_light, pq_luminance, sdr_signal, tone_map
from clip_assets_tests.making import corpus, corpus_shown

# Name -> transfer function, and how else the file is written.
FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "pq.mp4": ("pq", {}),
    "pq.mkv": ("pq", {}),
    "pq.ts": ("pq", {}),
    "pq_full_range.mp4": ("pq", {"full_range": True}),
    "pq_4_2_2.mp4": ("pq", {"pix_fmt": "yuv422p10le"}),
    "pq_on_its_side.mp4": ("pq", {"orientation": "90"}),
    "hlg.mp4": ("hlg", {}),
    "hlg_full_range.mp4": ("hlg", {"full_range": True}),
    "hlg_8_bits.mp4": ("hlg", {"pix_fmt": "yuv420p"}),
}


def test_pq_is_st_2084s() -> None:
    np.testing.assert_allclose(pq_luminance(np.array([0, 0.5081, 0.7518, 1])), [0, 100, 1000, 10_000], rtol=2e-3)


def test_hlg_is_bt_2100s() -> None:
    np.testing.assert_allclose(hlg_scene_light(np.array([0, 0.5, 1])), [0, 1 / 12, 1], atol=1e-6)


def test_the_curve_is_that_of_an_sdr_screen_up_to_the_knee_and_rises_to_its_peak() -> None:
    luminance = np.linspace(0, 1000, 2000)
    signal = sdr_signal(luminance)
    straight = signal <= KNEE
    np.testing.assert_allclose(203 * signal[straight] ** 2.4, luminance[straight], atol=1e-9)
    assert np.all(np.diff(signal) > 0)
    assert signal[-1] == pytest.approx(1)
    np.testing.assert_array_equal(sdr_signal(np.array([1000.0, 4000.0])), [1, 1])


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_white_stays_white_whatever_the_primaries(transfer: str) -> None:
    grey = np.full((1, 1, 3), 40_000, np.uint16)
    for primaries in (1, 2, 9, 12):
        red, green, blue = tone_map(transfer, primaries)(grey)[0, 0].astype(int)  # type: ignore[arg-type]
        assert max(red, green, blue) - min(red, green, blue) <= 1


@pytest.mark.parametrize("name", FILES)
def test_hdr_shows_the_colours_of_its_sdr_original_and_keeps_what_is_brighter_apart(name: str, tmp_path: Path) -> None:
    transfer, how = FILES[name]
    clip = corpus_shown.hdr(tmp_path / name, transfer, **how)
    found = probe(clip.path)
    assert found.treatment == {"tone_map": f"{transfer}, curve 1"}
    with decode(found, np.array([0])) as frames:
        rgb = next(frames).rgb
    assert (rgb.dtype, rgb.shape) == (np.uint8, (64, 96, 3))
    tolerance = 16 if how.get("pix_fmt") == "yuv420p" else 6  # 8 bits hold the darker two of a colour's three coarsely
    np.testing.assert_allclose(rgb[16, [12, 36, 60, 84]].astype(int), corpus.COLOURS[0], atol=tolerance)
    greys = rgb[48, 3::6].astype(int)
    assert np.all(np.diff(greys[:, 1]) > 0)
    assert np.ptp(greys, axis=1).max() <= 4


def test_decord_refuses_hdr(tmp_path: Path) -> None:
    clip = corpus_shown.hdr(tmp_path / "pq.mp4", "pq")
    with pytest.raises(DecoderRefusedError, match="HDR"):
        decode(clip.path, np.array([0]), decoder="decord")
