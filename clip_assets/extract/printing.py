"""Standard output: arrays as video_features prints them, predictions for people or programs. All else: `note`."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.matching import format_predictions, match_texts
from clip_assets.extract.options import PredFormat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clip_assets.core.model.clip_model import ClipModel
    from clip_assets.core.records import TextMatch
    from clip_assets.extract.inputs import Video

CSV_HEADER = ("video", "sample_index", "timestamp_ms", "text", "probability", "logit")


def print_lines(lines: Iterable[str]) -> None:
    """Write lines to standard output; what no encoding holds, as in names of files, becomes a question mark."""
    for line in lines:
        sys.stdout.write(f"{line}\n".encode(errors="replace").decode())
    sys.stdout.flush()


def note(line: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{line}\n")


def array_lines(arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """For each array its name, its values as numpy prints them, the extremes and the mean, and an empty line."""
    for name, values in arrays.items():
        exact = values.astype(np.float64)
        yield name
        yield str(values)
        yield f"max: {exact.max():.8f}; mean: {exact.mean():.8f}; min: {exact.min():.8f}"
        yield ""


class Predictions:
    """Lines that say how well each frame of each video matches each sentence.

    Formats: ``text``, each frame's probabilities in the sentences' order; ``table``, a table for each frame, the best
    sentence first; ``json``, one list with an object for each video; ``csv``, a line for each frame and sentence.
    """

    def __init__(self, model: ClipModel, texts: Sequence[str], pred_format: PredFormat, best: int | None) -> None:
        """Encode the sentences.

        Args:
            model: Of the videos' features.
            texts: The sentences.
            pred_format: The lines' format; ``text`` with a number in ``best`` is ``table``.
            best: How many sentences to show of each frame, best first; None for all.

        Raises:
            TextError: A sentence has more tokens than the model takes.
        """
        self._texts = tuple(texts)
        self._text_features = model.encode_texts(self._texts)
        self._score = model.score
        self._format = "table" if pred_format == "text" and best is not None else pred_format
        self._best = best
        self._videos = 0

    @property
    def is_document(self) -> bool:
        """Whether the lines are for programs, so that nothing else may stand between them."""
        return self._format in ("json", "csv")

    def begin(self) -> Iterator[str]:
        """What comes before the first video."""
        if self._format == "csv":
            yield _csv_line(CSV_HEADER)
        elif self._format == "json":
            yield "["

    def of_video(self, video: Video, arrays: Mapping[str, NDArray[Any]]) -> Iterator[str]:
        """What there is to say of a video with these arrays, ``clip`` and ``timestamps_ms`` among them.

        Raises:
            MatchingError: A feature has no direction.
        """
        match = match_texts(arrays["clip"], self._text_features, self._score, self._texts, arrays["timestamps_ms"])
        if self._format == "text":
            yield from format_predictions(video.number, match)
        elif self._format == "table":
            yield from self._table(video, match)
        elif self._format == "csv":
            for index, time in enumerate(match.timestamps_ms.tolist()):
                for row in self._ranked(match, index):
                    yield _csv_line((video.name, index, time, *row.values()))
        else:
            yield ("," if self._videos else "") + json.dumps(self._object(video, match))
        self._videos += 1

    def end(self) -> Iterator[str]:
        """What comes after the last video."""
        if self._format == "json":
            yield "]"

    def _table(self, video: Video, match: TextMatch) -> Iterator[str]:
        yield f"Video #{video.number}: {video.name}"
        for index, time in enumerate(match.timestamps_ms.tolist()):
            yield f"frame {index} at {time:.1f} ms"
            yield "  Logits | Prob. | Label"
            for row in self._ranked(match, index):
                yield f"{row['logit']:8.3f} | {row['probability']:.3f} | {row['text']}"
            yield ""

    def _object(self, video: Video, match: TextMatch) -> dict[str, Any]:
        frames = [
            {"sample_index": index, "timestamp_ms": time, "matches": self._ranked(match, index)}
            for index, time in enumerate(match.timestamps_ms.tolist())
        ]
        return {"video": video.name, "score_kind": match.score_kind, "frames": frames}

    def _ranked(self, match: TextMatch, index: int) -> list[dict[str, Any]]:
        """The sentences to show of a frame: the best ones, or all in a table's order, or all in the order given."""
        order = np.arange(len(match.texts))
        if self._best is not None or self._format == "table":
            order = np.argsort(-match.probabilities[index], kind="stable")[: self._best]
        return [
            {
                "text": match.texts[column],
                "probability": match.probabilities[index, column].item(),
                "logit": match.logits[index, column].item(),
            }
            for column in order.tolist()
        ]


def _csv_line(values: tuple[Any, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
