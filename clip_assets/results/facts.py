"""Stored summaries in words and rows, for people: the same in the UI, in the terminal and on a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from clip_assets.core.records import ScoreKind
from clip_assets.results.summaries import FeatureSummary, FrameSummary, MatchSummary, ShotSummary, Summary

Rows = list[Sequence[Any]]

FACT_COLUMNS = {"property": "string", "value": "string"}
SPEED_COLUMNS = {"stage": "string", "seconds": "float, spent in it", "frames_per_second": "float"}
SHOT_COLUMNS = {"from_seconds": "float", "to_seconds": "float", "samples": "int"}
LINE_COLUMNS = {
    "sentence": "string, one of the strongest",
    "over_time": "string, its probability from start to end, 0 to 1",
    "peak": "float, its highest probability",
    "peak_at_seconds": "float",
}
STRETCH_COLUMNS = {
    "from_seconds": "float, time of the first sample",
    "to_seconds": "float, time of the next stretch's first sample, or where the video ends",
    "sentence": "string, the one that matches best",
    "mean_probability": "float, of that sentence over these samples",
}
"""Columns of tables: the type of each and, after a comma, its meaning."""

PLOT_NAMES = {
    "frames": "sampled_frames",
    "fps": "source_frames_per_second",
    "texts": "sentences",
    "seconds": "computing_seconds",
    "frames_per_second": "computed_frames_per_second",
}
"""The names of numbers of a summary above a plot over materializations, where nothing else stands beside them."""

SCORE_WORDS: Mapping[ScoreKind, str] = {
    "softmax": "softmax: the sentences compete, and the probabilities of a sample sum to 1",
    "sigmoid": "sigmoid: each sentence is judged by itself; not to be compared with a softmax",
}
"""What a probability is of."""

_GLANCE_STRETCHES = 6
_ASSUMED_TIMES = ("times assumed", "one frame after another at the average rate: a bare stream tells no times")

# By whether the container tells where it ends.
_END = {
    None: None,
    True: "where the container says",
    False: "the container doesn't tell where it ends: a file cut between two packets would look whole",
}


def sampling_words(parameters: Mapping[str, Any]) -> str:
    """Which frames of a video a result was made of.

    Args:
        parameters: The result's; each asset's hold those of the sampling.
    """
    selected = {"ffmpeg": "the frame that ffmpeg's fps filter emits"}
    shown = selected.get(parameters.get("frame_selection") or "", "the frame on screen")
    if fps := parameters.get("extraction_fps"):
        return f"{fps:g} per second, {shown}"
    if total := parameters.get("extraction_total"):
        return f"{total} in all, evenly spaced, {shown}"
    return "every frame"


def plotted(summary: Summary, *names: str) -> dict[str, int | float]:
    """Numbers of a summary that the UI plots over materializations, by the names that they have there.

    Args:
        summary: Of a result; what it doesn't know is left out.
        names: Its fields. Measured ones get four digits.
    """
    values = {PLOT_NAMES.get(name, name): getattr(summary, name) for name in names}
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in values.items()
        if value is not None
    }


def source_rows(summary: FrameSummary) -> Rows:
    """What there is to know of a video, from the summary of its frame indices."""
    return [
        ("frames", _told("{} sampled of {}", summary.frames, summary.source_frames)),
        ("codec", _told("{} in {}", summary.codec, summary.container)),
        ("video stream", _told("{} of {}", summary.video_stream, summary.video_streams)),
        ("size", _told("{} pixels, upright", summary.size)),
        ("shown", _treatment(summary.treatment)),
        ("colours", _told("{}", summary.colours)),
        ("rotation", _told("{} degrees clockwise, applied", summary.rotation)),
        ("average rate", _told("{:.3f} frames per second", summary.fps)),
        ("frame spacing", _told("{}", summary.frame_spacing)),
        ("duration", _told("{:.3f} s", summary.duration_seconds)),
        ("end", _told("{}", _END[summary.end_is_known])),
        _ASSUMED_TIMES if summary.times_are_assumed else ("times read by", "PyAV, from the container"),
    ]


def _treatment(done: dict[str, Any] | None) -> str:
    """What was done to the picture, in words."""
    if done is None:
        return "unknown"
    return ", ".join(f"{what.replace('_', ' ')} {value}" for what, value in done.items()) or "as its pixels are"


def feature_rows(summary: FeatureSummary) -> Rows:
    """What there is to know of features, from their summary."""
    computed = (summary.precision, summary.device, summary.decoder)
    cuts = None if summary.cuts_seconds is None else ", ".join(f"{second:.2f} s" for second in summary.cuts_seconds)
    return [
        ("features", _told("{} of {} numbers", summary.frames, summary.feature_width)),
        ("model", _told("{}, weights {:.12}", summary.model, summary.weights_sha256)),
        ("computed", _told("in {} on {}, decoded by {}", *computed)),
        ("damage", _told("{}", summary.damage)),
        ("norms", _told("{0:g} to {2:g}, mean {1:g}", *(summary.norms or [None]))),
        ("change over time", _told("{}", summary.change)),
        ("cuts", "none" if cuts == "" else _told("{}", cuts)),
    ]


def speed_rows(summary: FeatureSummary) -> Rows:
    """Seconds and frames per second of each stage, from the summary of features; stages that took time only."""
    stages = {
        "decode": summary.decode_seconds,
        "preprocess": summary.preprocess_seconds,
        "encode": summary.encode_seconds,
        "all, overlapped": summary.seconds,
    }
    frames = summary.frames or 0
    return [(stage, round(spent, 3), round(frames / spent, 1)) for stage, spent in stages.items() if spent]


def shot_rows(summary: ShotSummary) -> Rows:
    """From and to in seconds, and the number of samples, of the first shots."""
    return [(round(s.from_ms / 1000, 3), round(s.to_ms / 1000, 3), s.rows) for s in summary.stretches]


def stretch_rows(summary: MatchSummary) -> Rows:
    """From and to in seconds, the sentence and its mean probability, from the summary of a match."""
    return [
        (round(s.from_ms / 1000, 3), round(s.to_ms / 1000, 3), s.text, round(s.probability, 4))
        for s in summary.stretches
    ]


def match_rows(summary: MatchSummary) -> Rows:
    """What there is to know of a match, from its summary."""
    return [("sentences", _told("{}", summary.texts)), ("score", SCORE_WORDS[summary.score_kind])]


def at_a_glance(summary: MatchSummary) -> str:
    """The first stretches of a match in one line."""
    rows = stretch_rows(summary)[:_GLANCE_STRETCHES]
    told = [f"{start:g} to {end:g} s: {text} ({probability:.0%})" for start, end, text, probability in rows]
    more = (summary.stretch_count or len(summary.stretches)) - len(told)
    return "; ".join([*told, f"and {more} more stretches"] if more else told)


def _told(words: str, *values: Any) -> str:
    """The words with the values in them; ``unknown`` where one of them is."""
    return "unknown" if None in values else words.format(*values)
