"""What a model's cosines are worth: logits and probabilities, by the score that it was trained with. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clip_assets.core.records import ScoreKind


@dataclass(frozen=True)
class Score:
    """How probabilities come of the cosines of pictures and sentences.

    With ``softmax`` the sentences compete, and a picture's probabilities sum to 1 (Radford et al. 2021, section 3.1).
    With ``sigmoid`` each sentence is judged by itself (Zhai et al. 2023, section 3.2). One is not to be compared with
    the other.

    Attributes:
        scale: What cosines are multiplied by: the checkpoint's, after ``exp``.
        bias: What is added then.
        kind: What makes probabilities of logits.
    """

    scale: float
    bias: float = 0.0
    kind: ScoreKind = "softmax"

    def logits(self, cosines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of cosines, of the same shape."""
        scaled: NDArray[np.float64] = self.scale * cosines
        return scaled + self.bias if self.bias else scaled

    def probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of logits (T, N), of T pictures and N sentences."""
        if self.kind == "softmax":
            return _softmax(logits)
        return np.exp(-np.logaddexp(0.0, -logits))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The softmax of each row; its largest value is subtracted first, so that no exponential overflows."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
