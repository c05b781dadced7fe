"""Stored summaries in words and rows, for people: the same in the UI, in the terminal and on a page."""

from collections.abc import Mapping, Sequence
from typing import Any

Rows = list[Sequence[Any]]

FACT_COLUMNS = {"property": "string", "value": "string"}
SPEED_COLUMNS = {"stage": "string", "seconds": "float, spent in it", "frames_per_second": "float"}
LINE_COLUMNS = {
    "sentence": "string, one of the strongest",
    "over_time": "string, its probability from start to end, 0 to 1",
    "peak": "float, its highest probability",
    "peak_at_seconds": "float",
}
STRETCH_COLUMNS = {
    "from_seconds": "float, time of the first sample",
    "to_seconds": "float, time of the next stretch's first sample, or of the last sample",
    "sentence": "string, the one that matches best",
    "mean_probability": "float, of that sentence over these samples",
}
"""Columns of tables: the type of each and, after a comma, its meaning."""

_GLANCE_STRETCHES = 6


def source_rows(summary: Mapping[str, Any]) -> Rows:
    """What there is to know of a video, from the summary of its frame indices."""
    return [
        ("frames", f"{summary['frames']} sampled of {summary['source_frames']}"),
        ("codec", f"{summary['codec']} in {summary['container']}"),
        ("video stream", f"{summary.get('video_stream', 1)} of {summary.get('video_streams', 1)}"),
        ("size", f"{summary['size']} pixels, upright"),
        ("rotation", f"{summary['rotation']} degrees clockwise, applied"),
        ("average rate", f"{summary['fps']:.3f} frames per second"),
        ("frame spacing", summary["frame_spacing"]),
        ("duration", f"{summary['duration_seconds']:.3f} s"),
        ("times read by", "PyAV, from the container"),
    ]


def feature_rows(summary: Mapping[str, Any]) -> Rows:
    """What there is to know of features, from their summary."""
    low, mean, high = summary["norms"]
    cuts = ", ".join(f"{second:.2f} s" for second in summary["cuts_seconds"])
    return [
        ("features", f"{summary['frames']} of {summary['feature_width']} numbers"),
        ("model", f"{summary['model']}, weights {summary['weights_sha256'][:12]}"),
        ("computed", f"in {summary['precision']} on {summary['device']}, decoded by {summary['decoder']}"),
        ("damage", summary["damage"]),
        ("norms", f"{low:g} to {high:g}, mean {mean:g}"),
        ("change over time", summary["change"]),
        ("cuts", cuts or "none"),
    ]


def speed_rows(summary: Mapping[str, Any]) -> Rows:
    """Seconds and frames per second of each stage, from the summary of features."""
    stages = {stage: summary[f"{stage}_seconds"] for stage in ("decode", "preprocess", "encode")}
    stages["all, overlapped"] = summary["seconds"]
    return [(stage, round(spent, 3), round(summary["frames"] / spent, 1)) for stage, spent in stages.items() if spent]


def stretch_rows(summary: Mapping[str, Any]) -> Rows:
    """From and to in seconds, the sentence and its mean probability, from the summary of a match."""
    return [
        (round(s["from_ms"] / 1000, 3), round(s["to_ms"] / 1000, 3), s["text"], round(s["probability"], 4))
        for s in summary["stretches"]
    ]


def at_a_glance(summary: Mapping[str, Any]) -> str:
    """The first stretches of a match in one line."""
    rows = stretch_rows(summary)[:_GLANCE_STRETCHES]
    told = [f"{start:g} to {end:g} s: {text} ({probability:.0%})" for start, end, text, probability in rows]
    more = summary["stretch_count"] - len(told)
    return "; ".join([*told, f"and {more} more stretches"] if more else told)
