"""The search in two stages: shots by their means, then the rows of the best shots and of their neighbours, exactly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from clip_assets.core.errors import ResultCorruptError, ResultMissingError
from clip_assets.core.library.keys import is_under
from clip_assets.core.search.index import IndexedVideo, ShotIndex
from clip_assets.core.search.moments import grow, shot_value, trim

if TYPE_CHECKING:
    from numpy.typing import NDArray

    ReadRows = Callable[[IndexedVideo, Sequence[tuple[int, int]]], list[NDArray[np.float32]]]

CANDIDATES = 50
"""Shots whose rows are read in a round, and at least 2.5 for each moment asked for."""

COPY_COSINE = 0.995
"""Two videos whose vectors, and whose moments' best rows, are this close hold the same content."""

_MOST_ROUNDS = 20
_BLOCK = 64  # rows that are read together: neighbours will be asked for next


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        vector: float (D,), of norm 1.
        top: The most moments.
        per_video: The most moments of a video.
        min_score: The least score of a moment; None for any.
        under: Folder that the keys lie in; empty for all.
    """

    vector: NDArray[np.floating]
    top: int = 20
    per_video: int = 3
    min_score: float | None = None
    under: str = ""


@dataclass(frozen=True, eq=False)
class Found:
    """A moment by its rows.

    Attributes:
        video: Whose it is.
        first_row: Its first row.
        last_row: Its last row.
        best_row: The row with the highest score.
        score: The cosine of that row with the query.
        seed: The value of the shot that it grew from: what moments are ranked by.
        feature: float32 (D,), the best row, of norm 1.
        also_in: The videos that hold the same moment, the first as good as any.
    """

    video: IndexedVideo
    first_row: int
    last_row: int
    best_row: int
    score: float
    seed: float
    feature: NDArray[np.float32]
    also_in: tuple[IndexedVideo, ...] = ()

    @property
    def rank(self) -> tuple[float, str, int]:
        """What moments are sorted by."""
        return -round(self.seed, 6), self.video.key, self.first_row


@dataclass(frozen=True)
class Answer:
    """What a search found.

    Attributes:
        moments: The best first.
        unreadable: Videos whose rows can't be read, or aren't those of the index.
    """

    moments: tuple[Found, ...]
    unreadable: tuple[IndexedVideo, ...]


def search(index: ShotIndex, read_rows: ReadRows, wanted: Wanted, at_once: int = 1) -> Answer:
    """The best moments of an index.

    Args:
        index: What is searched.
        read_rows: Gives rows of a video's features, float32 (n, D), for each (first row, row after the last).
        wanted: What for.
        at_once: Of how many videos rows are read at the same time.
    """
    is_asked = np.array([is_under(video.key, wanted.under) for video in index.videos], dtype=bool)
    rows = np.flatnonzero(index.owner >= 0)
    rows = rows[is_asked[index.owner[rows]]]
    if len(rows) == 0:
        return Answer((), ())
    scores = index.scores(wanted.vector)
    base = float(np.median(scores[rows]))
    readers: dict[int, _VideoSearch] = {}
    folded: list[Found] = []
    count = max(CANDIDATES, -(-5 * wanted.top // 2))
    is_full = np.zeros(len(index.videos), dtype=bool)
    for _ in range(_MOST_ROUNDS):
        chosen = _best(scores, rows, count)
        least = float(scores[chosen].min()) if len(chosen) < len(rows) else -np.inf
        shots = _by_owner(index, chosen)
        for number in shots:
            if number not in readers:
                readers[number] = _VideoSearch(index.videos[number], read_rows, wanted, base)
        is_full[list(shots)] = _look(readers, shots, least, at_once)
        found = [moment for reader in readers.values() for moment in reader.moments]
        passing = [moment for moment in found if wanted.min_score is None or moment.score >= wanted.min_score]
        before, folded = len(folded), fold(passing, index)
        if len(folded) >= wanted.top or (wanted.min_score is not None and len(folded) == before):
            break
        rows = rows[~np.isin(rows, chosen) & ~is_full[index.owner[rows]]]
        if len(rows) == 0:
            break
    unreadable = tuple(reader.video for reader in readers.values() if reader.is_unreadable)
    return Answer(tuple(folded[: wanted.top]), unreadable)


def _look(
    readers: Mapping[int, _VideoSearch], shots: Mapping[int, Sequence[int]], least: float, at_once: int
) -> list[bool]:
    """What `look` says of each video's shots."""
    if at_once == 1:
        return [readers[number].look(shots[number], least) for number in shots]
    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(lambda number: readers[number].look(shots[number], least), shots))


def fold(moments: Collection[Found], index: ShotIndex) -> list[Found]:
    """The moments in order, those that show the same of the same content under another name folded into the first."""
    kept: list[Found] = []
    vectors: dict[str, NDArray[np.float32]] = {}

    def vector(video: IndexedVideo) -> NDArray[np.float32]:
        if video.key not in vectors:
            vectors[video.key] = index.bits[video.start].view(np.float16).astype(np.float32)
        return vectors[video.key]

    for moment in sorted(moments, key=lambda moment: moment.rank):
        for place, other in enumerate(kept):
            if _overlap(moment, other) and float(vector(moment.video) @ vector(other.video)) >= COPY_COSINE:
                if moment.video not in other.also_in:
                    kept[place] = replace(other, also_in=(*other.also_in, moment.video))
                break
        else:
            kept.append(moment)
    return kept


class _VideoSearch:
    """The exact search of one video: its rows' scores as far as they were needed, and the moments made of them."""

    def __init__(self, video: IndexedVideo, read_rows: ReadRows, wanted: Wanted, base: float) -> None:
        self.video = video
        self.moments: list[Found] = []
        self.is_unreadable = False
        self._read_rows = read_rows
        self._wanted = wanted
        self._base = base
        self._first = video.first_rows
        self._end = np.append(video.first_rows[1:], video.rows)
        self._scores = np.full(video.rows, np.nan, dtype=np.float32)
        self._blocks: dict[int, NDArray[np.float32]] = {}
        self._values: dict[int, float] = {}
        self._is_free = np.ones(len(video.first_rows), dtype=bool)

    def look(self, shots: Sequence[int], least: float) -> bool:
        """Read these shots and their neighbours, make moments of those of at least that value; whether all are made."""
        near = {min(max(shot + step, 0), len(self._first) - 1) for shot in shots for step in (-1, 0, 1)}
        try:
            self._read((int(self._first[shot]), int(self._end[shot])) for shot in sorted(near))
            for shot in near:
                self._value(shot)
            while len(self.moments) < self._wanted.per_video:
                free = [shot for shot in self._values if self._is_free[shot] and self._values[shot] >= least]
                if not free:
                    break
                self._make_moment(max(free, key=lambda shot: (round(self._values[shot], 6), -shot)))
        except (ResultMissingError, ResultCorruptError):
            self.is_unreadable = True
            self.moments = []
        return self.is_unreadable or len(self.moments) >= self._wanted.per_video

    def _make_moment(self, seed: int) -> None:
        first, last = grow(self._value, self._is_free.__getitem__, seed, len(self._first), self._base)
        self._is_free[first : last + 1] = False
        begin, end = int(self._first[first]), int(self._end[last])
        first_row, last_row, best = (begin + row for row in trim(self._scores[begin:end], self._base))
        feature = self._blocks[best // _BLOCK][best % _BLOCK]
        norm = np.linalg.norm(feature)
        self.moments.append(
            Found(
                self.video, first_row, last_row, best, float(self._scores[best]), self._values[seed],
                feature / norm if norm > 0 else feature,
            )
        )  # fmt: skip

    def _value(self, shot: int) -> float:
        if shot not in self._values:
            begin, end = int(self._first[shot]), int(self._end[shot])
            if np.isnan(self._scores[begin:end]).any():
                self._read([(begin, end)])
            self._values[shot] = shot_value(self._scores[begin:end])
        return self._values[shot]

    def _read(self, spans: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> None:
        """Read the blocks in which these rows are, and score them."""
        blocks = sorted({block for begin, end in spans for block in range(begin // _BLOCK, (end - 1) // _BLOCK + 1)})
        missing = [block for block in blocks if block not in self._blocks]
        if not missing:
            return
        runs = np.split(np.array(missing), np.flatnonzero(np.diff(missing) > 1) + 1)
        wanted = [(int(run[0]) * _BLOCK, min((int(run[-1]) + 1) * _BLOCK, self.video.rows)) for run in runs]
        for (begin, end), rows in zip(wanted, self._read_rows(self.video, wanted), strict=True):
            norms = np.sqrt(np.einsum("td,td->t", rows, rows))
            products = rows @ self._wanted.vector.astype(np.float32)
            with np.errstate(divide="ignore", invalid="ignore"):
                self._scores[begin:end] = np.where(np.isfinite(norms) & (norms > 0), products / norms, 0.0)
            for block in range(begin // _BLOCK, -(-end // _BLOCK)):
                self._blocks[block] = rows[block * _BLOCK - begin : (block + 1) * _BLOCK - begin]


def _best(scores: NDArray[np.float32], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The rows with the highest scores, at most ``count``."""
    if len(rows) <= count:
        return rows
    of_rows = scores[rows]
    return rows[np.argpartition(of_rows, len(rows) - count)[len(rows) - count :]]


def _by_owner(index: ShotIndex, rows: NDArray[np.int64]) -> dict[int, list[int]]:
    """The shots that these rows of the index are, by the place of their video."""
    shots: dict[int, list[int]] = {}
    for row, number in zip(rows.tolist(), index.owner[rows].tolist(), strict=True):
        shots.setdefault(number, []).append(row - index.videos[number].start - 1)
    return shots


def _overlap(one: Found, other: Found) -> bool:
    """Whether two moments of different videos are at the same place, more or less, and look the same."""
    if one.video is other.video or float(one.feature @ other.feature) < COPY_COSINE:
        return False
    (a, b), (c, d) = (
        (moment.first_row / moment.video.rows, (moment.last_row + 1) / moment.video.rows) for moment in (one, other)
    )
    return min(b, d) - max(a, c) >= 0.5 * (max(b, d) - min(a, c))
