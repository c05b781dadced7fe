"""Values in words, for the templates."""

from __future__ import annotations

import math
from datetime import datetime

from clip_assets.results.facts import SCORE_WORDS

_LONGEST_REASON = 400


def clock(ms: float) -> str:
    """A time in a video, as in 0:02.5 or 1:02:03."""
    tenths = round(max(ms, 0.0) / 100)
    minutes, tenths = divmod(tenths, 600)
    seconds = f"{tenths // 10:02d}" + (f".{tenths % 10}" if tenths % 10 else "")
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds}" if minutes >= 60 else f"{minutes}:{seconds}"


def hours(seconds: float) -> str:
    """How long all videos are together."""
    if seconds < 100:
        return f"{seconds:.0f} seconds"
    if seconds < 6000:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:,.1f} hours"


def age(seconds: float) -> str:
    """How long ago something was."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 5400 else f"{seconds / 3600:.0f} h ago"


def day(created: str) -> str:
    """The local day and minute of an ISO 8601 time."""
    try:
        return f"{datetime.fromisoformat(created).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return created


def name(key: str) -> str:
    """A key's last part."""
    return key.rpartition("/")[2]


def folder(key: str) -> str:
    """What comes before a key's last part, with its slash."""
    return key[: len(key) - len(name(key))]


def short(words: str) -> str:
    """Words of any length as a few lines."""
    return words if len(words) <= _LONGEST_REASON else f"{words[:_LONGEST_REASON]} ..."


def seconds(ms: float) -> str:
    """Milliseconds as seconds, for addresses."""
    return f"{ms / 1000:.3f}"


def after(ms: float) -> str:
    """A sample's time as seconds, for a player: a moment later, as the frame before may be shown at the very time."""
    return "0" if ms <= 0 else seconds(ms + 2)


FILTERS = {
    "clock": clock,
    "hours": hours,
    "age": age,
    "day": day,
    "name": name,
    "folder": folder,
    "short": short,
    "seconds": seconds,
    "after": after,
    "score_words": SCORE_WORDS.__getitem__,
}
