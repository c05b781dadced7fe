"""HDR pictures as an SDR screen shows them: as they are up to its white, what is brighter pressed together above."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Transfer = Literal["pq", "hlg"]

CURVE = 1
"""Names the mapping in data versions; another number for every change that changes pixels."""

# What ITU-T H.273 numbers: transfer characteristics, and primaries by the chromaticities x, y of red, green and blue.
_TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
_BT_709, _BT_2020 = 1, 9
_PRIMARIES = {
    _BT_709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    _BT_2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # P3 as displays have it
}
_D65 = (0.3127, 0.3290)

# Luminances in candelas per square metre. An SDR screen's white within HDR (ITU-R BT.2408, 2.2), and the brightest that
# still differs from what is brighter: the nominal peak of HLG, and what most PQ is mastered for.
SDR_WHITE = 203.0
PEAK = 1000.0

# Signal up to which the curve is straight, of the full range. From there to PEAK it is straight too, and as flat as it
# has to be: a curve that bends would leave the brightest levels no values of their own.
KNEE = 0.9

_DISPLAY_GAMMA = 2.4  # ITU-R BT.1886
_LEVELS = 2**14  # of the output's table, over the root of the luminance
_PIXELS_AT_ONCE = 2**14  # what the processor's cache holds


def hdr_transfer(frame: VideoFrame) -> Transfer | None:
    """The transfer function that a frame is tagged with, if it is one of HDR's."""
    return _TRANSFERS.get(frame.color_trc)


def pq_luminance(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Luminance in cd/m2 that a display shows for a PQ signal, 0 to 1 (SMPTE ST 2084; ITU-R BT.2100, table 4)."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def hlg_scene_light(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of the scene, 0 to 1, for an HLG signal, 0 to 1 (ITU-R BT.2100, table 5, inverse OETF)."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def sdr_signal(luminance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signal, 0 to 1, that an SDR screen is given for a luminance of HDR in cd/m2.

    ITU-R BT.1886's up to `KNEE`; from there straight to 1 at `PEAK`, and no further.
    """
    exact = (luminance / SDR_WHITE) ** (1 / _DISPLAY_GAMMA)
    brightest = (PEAK / SDR_WHITE) ** (1 / _DISPLAY_GAMMA)
    pressed = KNEE + (1 - KNEE) * (exact - KNEE) / (brightest - KNEE)
    return np.minimum(np.where(exact <= KNEE, exact, pressed), 1)


@dataclass(frozen=True, eq=False)
class ToneMap:
    """Pictures of one transfer function and set of primaries, to SDR with those of BT.709.

    Attributes:
        light: float32 (65536,), by signal: luminance in units of `PEAK` (PQ), or the scene's light (HLG).
        mix: float32 (3, 3), primaries to BT.709's: light of a pixel (R, G, B) @ mix.
        luma: float32 (3,), weights of HLG's luminance; None for PQ.
        levels: uint8, by the root of the luminance.
    """

    light: NDArray[np.float32]
    mix: NDArray[np.float32]
    luma: NDArray[np.float32] | None
    levels: NDArray[np.uint8]

    def __call__(self, rgb: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """SDR uint8 (H, W, 3) for uint16 (H, W, 3), both RGB and of full range."""
        mapped = np.empty(rgb.shape, np.uint8)
        pixels, into = rgb.reshape(-1, 3), mapped.reshape(-1, 3)
        for start in range(0, len(pixels), _PIXELS_AT_ONCE):
            part = slice(start, start + _PIXELS_AT_ONCE)
            into[part] = self._map(pixels[part])
        return mapped

    def _map(self, pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
        light = self.light.take(pixels)
        shown = light @ self.mix
        if self.luma is not None:  # what a display of PEAK does to the scene's light: ITU-R BT.2100, table 5, OOTF
            shown *= (light @ self.luma)[:, np.newaxis] ** np.float32(0.2)
        np.clip(shown, 0, 1, out=shown)
        np.sqrt(shown, out=shown)
        shown *= _LEVELS - 1
        return self.levels.take(shown.astype(np.uint16))


@functools.cache
def tone_map(transfer: Transfer, primaries: int) -> ToneMap:
    """The mapping for a transfer function and for primaries as H.273 numbers them, BT.2020's if those aren't known."""
    signal = np.linspace(0, 1, 2**16)
    light = hlg_scene_light(signal) if transfer == "hlg" else pq_luminance(signal) / PEAK
    to_xyz = _to_xyz(primaries if primaries in _PRIMARIES else _BT_2020)
    mix = np.linalg.inv(_to_xyz(_BT_709)) @ to_xyz
    levels = sdr_signal(PEAK * np.linspace(0, 1, _LEVELS) ** 2)
    return ToneMap(
        light=light.astype(np.float32),
        mix=np.ascontiguousarray(mix.T, dtype=np.float32),
        luma=to_xyz[1].astype(np.float32) if transfer == "hlg" else None,
        levels=np.rint(255 * levels).astype(np.uint8),
    )


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """Matrix (3, 3) from linear RGB to CIE XYZ, white to a luminance of 1 (SMPTE RP 177)."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in (*_PRIMARIES[primaries], _D65)]).T
    scale = np.linalg.solve(columns[:, :3], columns[:, 3])
    return np.asarray(columns[:, :3] * scale)
