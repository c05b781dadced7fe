"""Features of sentences that were asked before, on this machine: to ask again, no model need be loaded."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import astuple
from pathlib import Path
from typing import TypeVar

import numpy as np

from clip_assets.core.model.score import Score

T = TypeVar("T")

_KEPT = 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sentences (weights TEXT, sentence TEXT, feature BLOB, PRIMARY KEY (weights, sentence));
CREATE TABLE IF NOT EXISTS scores (weights TEXT PRIMARY KEY, scale REAL, bias REAL, kind TEXT);
"""


class TextCache:
    """Features by the weights' SHA-256 and the sentence; a file that anyone may delete at any time.

    A file that is damaged or can't be written remembers nothing, which costs time and nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def features(self, weights: str, sentences: Sequence[str]) -> dict[str, np.ndarray]:
        """The features of the sentences that are known: float32 (D,), not normalised."""
        query = "SELECT feature FROM sentences WHERE weights = ? AND sentence = ?"

        def look(database: sqlite3.Connection) -> dict[str, np.ndarray]:
            rows = ((text, database.execute(query, (weights, _storable(text))).fetchone()) for text in sentences)
            return {text: np.frombuffer(row[0], np.float32) for text, row in rows if row}

        return self._use(look) or {}

    def score(self, weights: str) -> Score | None:
        """The model's score; None where that isn't known."""
        query = "SELECT scale, bias, kind FROM scores WHERE weights = ?"
        row = self._use(lambda database: database.execute(query, (weights,)).fetchone())
        return Score(*row) if row else None

    def put(self, weights: str, score: Score, features: Mapping[str, np.ndarray]) -> None:
        """Remember sentences; of very many, the oldest are forgotten."""
        rows = [(weights, _storable(text), feature.astype(np.float32).tobytes()) for text, feature in features.items()]

        def remember(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?)", (weights, *astuple(score)))
            database.executemany("INSERT OR REPLACE INTO sentences VALUES (?, ?, ?)", rows)
            database.execute("DELETE FROM sentences WHERE rowid <= (SELECT max(rowid) FROM sentences) - ?", (_KEPT,))

        self._use(remember)

    def _use(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """The action's result, in a transaction; None where the file can't be used, which is removed if damaged."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=10.0)) as database:
                database.executescript(_SCHEMA)
                with database:
                    return action(database)
        except (sqlite3.OperationalError, OSError):
            return None
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self._path.unlink()
            return None


def _storable(sentence: str) -> bytes:
    """SQLite takes no text with unpaired surrogates, which a command line's odd bytes become."""
    return sentence.encode("utf-8", "surrogatepass")
