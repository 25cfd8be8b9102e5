"""How a training went, step by step: a chart a quantity, one below the other, as SVG.

loss             ~~~\\__    thin: each step; thick: the mean of those around it
reward accuracy  __/~~~    the numbers at the ends stand beside them
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from w2stree.report.charts import BLUE, INK, require_matplotlib, salt_of, svg_of
from w2stree.report.text import number

QUANTITIES = {
    "loss": "loss",
    "rewards/accuracies": "reward accuracy",
    "rewards/margins": "reward margin",
}
"""What is drawn, by the trainer's name for it."""

_MOST_POINTS = 240
_WIDTH, _HEIGHT = 5.6, 1.5  # inches of one chart
_AROUND = 0.05  # of all steps, on each side: what the thick line averages

Floats = NDArray[np.float64]


def training_chart(method: str, steps: Sequence[Mapping[str, float]], *, of: str) -> str:
    """The quantities that were logged in at least two steps, an SVG element; "" where none was.

    `of` is the method's name for readers.
    """
    drawn = [(name, series(steps, key)) for key, name in QUANTITIES.items()]
    drawn = [(name, points) for name, points in drawn if len(points) > 1]
    if not drawn:
        return ""
    matplotlib = require_matplotlib()
    size = (_WIDTH, 0.5 + _HEIGHT * len(drawn))
    figure = matplotlib.figure.Figure(figsize=size)
    # Set by hand: a layout that matplotlib finds costs most of the time of the whole report.
    figure.subplots_adjust(
        left=0.1, right=0.98, top=1 - 0.3 / size[1], bottom=0.55 / size[1], hspace=0.45
    )
    charts = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, points) in zip(charts, drawn, strict=True):
        _draw(axes, name, points)
    charts[-1].set_xlabel("training step")
    title = f"Training of {of}: {', '.join(name for name, _ in drawn)} by step"
    return svg_of(figure, title, salt=salt_of("training", method))


def series(steps: Sequence[Mapping[str, float]], key: str) -> Floats:
    """(step, value) of each step that logged it, (num_points, 2); of more than can be seen the
    means of equal stretches."""
    found = [
        (float(logged["step"]), float(logged[key]))
        for logged in steps
        if "step" in logged and isinstance(logged.get(key), int | float)
        if math.isfinite(logged[key])
    ]
    points = np.array(found, dtype=np.float64).reshape(-1, 2)
    if len(points) <= _MOST_POINTS:
        return points
    return np.array([part.mean(axis=0) for part in np.array_split(points, _MOST_POINTS)])


def smoothed(values: Floats) -> Floats:
    """Each value's mean with those around it; at the ends of those on one side."""
    half = int(len(values) * _AROUND)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    begin, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    means: Floats = (sums[end] - sums[begin]) / (end - begin)
    return means


def _draw(axes: Any, name: str, points: Floats) -> None:
    step, value = points[:, 0], points[:, 1]
    line = smoothed(value)
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, labelsize=10)
    axes.xaxis.label.set(color=INK, size=11)
    axes.grid(axis="y", color=INK, alpha=0.13, linewidth=0.8)
    axes.plot(step, value, color=BLUE, alpha=0.5, linewidth=0.8)
    axes.plot(step, line, color=BLUE, linewidth=2)
    axes.set_title(
        f"{name}: {number(line[0])} at first, {number(line[-1])} at last",
        loc="left",
        size=11,
        color=INK,
    )
    if name == "reward accuracy":
        axes.set_ylim(-0.03, 1.03)
        axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.locator_params(axis="y", nbins=4)
    axes.locator_params(axis="x", integer=True)
