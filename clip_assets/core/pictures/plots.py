"""Plots: matplotlib's Agg, used here and nowhere else, without its global state."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_assets.core.picture import MAX_PICTURE_BYTES
from clip_assets.core.pictures.analysis import group_means, group_starts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

# Okabe and Ito's colours, which the colour-blind tell apart; without their yellow, which is too light for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_PAPER, _INK, _GREY = "#fbfbf9", "#202124", "#6b6f76"
_STYLES = ("-", "--", "-.", (0, (4, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (2, 1)), ":")
_DPI = 100
_LINE_POINTS = 1200
_LABEL_LENGTH = 36
_PALETTES = (256, 64, 16)


def similarity_plot(matrix: NDArray[np.float64], edges_seconds: NDArray[np.float64]) -> bytes:
    """A PNG of the similarity of every time with every other.

    Args:
        matrix: float64 (M, M), cosines.
        edges_seconds: float64 (M + 1,), where each row begins, and where the last one ends.
    """
    figure = _figure(5.6, 4.7)
    axes = figure.add_axes((0.12, 0.12, 0.68, 0.8))
    low = float(np.nanmin(matrix, initial=1.0))
    mesh = axes.pcolormesh(edges_seconds, edges_seconds, matrix, cmap="cividis", vmin=min(low, 0.999), vmax=1.0)
    axes.set_aspect("equal")
    _label(axes, "Similarity of frames (cosine)", "time (s)", "time (s)")
    figure.colorbar(mesh, cax=figure.add_axes((0.84, 0.12, 0.035, 0.8))).outline.set_visible(False)
    return _png(figure)


def change_plot(seconds: NDArray[np.float64], change: NDArray[np.float64], marked: NDArray[np.int64]) -> bytes:
    """A PNG of the change from frame to frame, with a mark and the time at the cuts.

    Args:
        seconds: float64 (T - 1,), time of the later frame of each pair.
        change: float64 (T - 1,), 1 - cosine.
        marked: int64, positions of changes to mark.
    """
    figure = _figure(8.6, 2.7)
    axes = figure.add_axes((0.08, 0.19, 0.9, 0.68))
    starts = group_starts(len(change), _LINE_POINTS)
    if len(change):  # the highest of each group: a cut is a single sample
        axes.plot(seconds[starts], np.maximum.reduceat(change, starts), color=COLOURS[0], lw=1.3, marker=".", ms=3)
    axes.plot(seconds[marked], change[marked], "v", color=COLOURS[1], ms=7, linestyle="none")
    for place in marked:
        axes.annotate(
            f"{seconds[place]:.2f} s", (seconds[place], change[place]), (0, 6), textcoords="offset points",
            ha="center", fontsize=8, color=_INK,
        )  # fmt: skip
    axes.set_ylim(0, 1.25 * float(np.nanmax(change, initial=1e-3)))
    _label(axes, "Change from frame to frame (1 - cosine); marked: cuts", "time (s)", "change")
    return _png(figure)


def probability_plot(
    seconds: NDArray[np.float64], lines: Sequence[tuple[str, NDArray[np.float64]]], others: NDArray[np.float64] | None
) -> bytes:
    """A PNG of probabilities over time: a line for each sentence, marked with its number.

    Args:
        seconds: float64 (T,), the samples' times.
        lines: At most as many as `COLOURS`: the sentence, and its probability at each sample, float64 (T,).
        others: float64 (T,), what all other sentences have together; None where there are none, or each stands alone.
    """
    figure = _figure(8.6, 3.2)
    axes = figure.add_axes((0.07, 0.16, 0.57, 0.75))
    starts = group_starts(len(seconds), _LINE_POINTS)
    every = max(1, len(starts) // 10)
    handles: list[Any] = []
    for place, (_, probabilities) in enumerate(lines):
        handles += axes.plot(
            seconds[starts], group_means(probabilities, starts), color=COLOURS[place], linestyle=_STYLES[place], lw=1.4,
            marker=f"${place + 1}$", ms=8, mew=0.5, markevery=(place * every // len(COLOURS), every),
        )  # fmt: skip
    labels = [f"{place + 1}: {_shortened(text)}" for place, (text, _) in enumerate(lines)]
    if others is not None:
        handles += axes.plot(seconds[starts], group_means(others, starts), color=_GREY, linestyle=":", lw=1.2)
        labels.append("all other sentences together")
    legend = axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.02, 1.02), frameon=False, fontsize=8.5)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a sentence may hold dollars
    axes.set_ylim(-0.03, 1.03)
    _label(axes, "Probability of each sentence", "time (s)", "probability")
    return _png(figure)


def _figure(width_inches: float, height_inches: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), dpi=_DPI, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    return figure


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    # y is where the title is anyway; without it matplotlib measures all ticks to find that out, a tenth of the drawing.
    axes.set_title(title, fontsize=10, loc="left", color=_INK, y=1.0)
    axes.set_xlabel(x, fontsize=9, color=_INK)
    axes.set_ylabel(y, fontsize=9, color=_INK)
    axes.tick_params(labelsize=8, colors=_INK)
    axes.set_facecolor(_PAPER)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 1] + "…"


def _png(figure: Figure) -> bytes:
    """At most `MAX_PICTURE_BYTES`, with a palette: half the size, and colours that look the same."""
    from PIL import Image

    canvas: Any = figure.canvas
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    for colours in _PALETTES:
        buffer = io.BytesIO()
        picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(buffer, "PNG")
        if buffer.tell() <= MAX_PICTURE_BYTES:
            break
    return buffer.getvalue()
