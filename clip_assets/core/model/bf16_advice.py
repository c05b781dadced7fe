"""What a long run could do to be shorter, said once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from clip_assets.core.model.kernels import bf16_gain

if TYPE_CHECKING:
    from clip_assets.core.model.clip_model import ClipModel

_LONG_SECONDS = 600.0

# Until then the frames of the first videos tell little about the others.
_LEAST_SECONDS = 20.0

_LEAST_GAIN = 1.2


class Bf16Advice:
    """Says once, where a run in fp32 on a CPU will take more than ten minutes, how much faster bf16 is there.

    Args:
        model: That the run encodes with.
        write: Takes the line, such as a logger's ``info``.
        clock: Seconds that only increase.
    """

    def __init__(
        self, model: ClipModel, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._write = write
        self._clock = clock
        self._began = clock()
        self._done = 0
        self._decided = model.device != "cpu" or model.precision != "fp32"

    def encoded(self, frames: int, of: int) -> None:
        """So many frames more are encoded, of that many in the whole run as far as is known."""
        self._done += frames
        seconds = self._clock() - self._began
        if self._decided or seconds < _LEAST_SECONDS or seconds * of / self._done < _LONG_SECONDS:
            return
        self._decided = True
        gain = bf16_gain(self._model.image_flops, self._model.typical_layer)
        if gain >= _LEAST_GAIN:
            self._write(
                f"precision bf16 is {gain:.1f} times as fast as fp32 on this processor, measured on a layer of "
                "this model; docs/benchmarks.md says how far its features are from those of fp32."
            )
