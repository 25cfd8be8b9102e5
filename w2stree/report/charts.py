"""The report's charts: matplotlib figures as SVG text to put into an HTML page.

Ink is `currentColor`, so that one chart is readable on a light and on a dark page.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from w2stree.errors import MissingDependency

INK = "#010203"  # stands for the page's text colour until the SVG is written
_GREY, BLUE = "#8a93a0", "#3d84c6"
_SIZE = (5.6, 3.1)  # inches of 72 px: small, so that text stays legible on a narrow screen
_CHARACTER = 0.1  # inches of a label


@dataclass(frozen=True, slots=True)
class Bar:
    """One method in a chart: its estimate with a 95 % interval."""

    label: str
    value: float
    ci95: tuple[float, float]
    is_highlighted: bool = False


def require_matplotlib() -> Any:
    """The module; raises `MissingDependency` with the command that installs it."""
    try:
        import matplotlib
        import matplotlib.figure
    except ModuleNotFoundError:
        raise MissingDependency(
            "the report's charts need matplotlib: pip install 'w2stree[report]'"
        ) from None
    return matplotlib


def reward_chart(bars: Sequence[Bar], *, of: str = "") -> str:
    """Average reward of each method, first on top, with its interval; an SVG element.

    `of` names what was played where a page has several such charts.
    """
    figure, axes = _axes(bars)
    axes.barh(
        range(len(bars)),
        [bar.value for bar in bars],
        height=0.62,
        color=[_colour(bar) for bar in bars],
    )
    _intervals(axes, bars, colour=INK)
    reach = max([1e-3, *(end for bar in bars for end in bar.ci95)])
    for y, bar in enumerate(bars):
        beside = bar.ci95[1] + 0.02 * reach
        axes.text(beside, y, f"{bar.value:.2f}", va="center", color=INK, size=12)
    axes.set_xlim(0, 1.14 * reach)
    axes.set_xlabel("average reward")
    title = f"Average reward of each method{_on(of)} with 95 % intervals"
    return svg_of(figure, title, salt=salt_of("reward", of))


def difference_chart(bars: Sequence[Bar], *, to: str, of: str = "") -> str:
    """Paired differences to the method `to`, with intervals, around a zero line; an SVG element.

    `of`: see `reward_chart`.
    """
    title = f"Paired differences to {to}{_on(of)} with 95 % intervals"
    return _around_zero(bars, title, salt=salt_of("difference", of))


def contrast_chart(bars: Sequence[Bar]) -> str:
    """Differences that each name both of their methods, with intervals; an SVG element, as wide as
    those names ask for."""
    longest = max((len(bar.label) for bar in bars), default=0)
    title = "Paired differences with 95 % intervals"
    return _around_zero(
        bars, title, salt=salt_of("contrast", ""), width=max(_SIZE[0], 2.4 + _CHARACTER * longest)
    )


def standing_alone(svg: str) -> str:
    """A chart as a file of its own, dark on white wherever it is shown."""
    style = "background: #fff; color: #222; font-family: sans-serif"
    return svg.replace("<svg", f'<svg style="{style}"', 1) + "\n"


def _around_zero(bars: Sequence[Bar], title: str, *, salt: str, width: float = _SIZE[0]) -> str:
    figure, axes = _axes(bars, width)
    axes.axvline(0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    _intervals(axes, bars, colour=None)
    reach = max([1e-3, *(abs(end) for bar in bars for end in bar.ci95)])
    low = min([0.0, *(bar.ci95[0] for bar in bars)])
    high = max([0.0, *(bar.ci95[1] for bar in bars)])
    axes.set_xlim(low - 0.08 * reach, high + 0.08 * reach)
    axes.set_xlabel("difference in average reward")
    return svg_of(figure, title, salt=salt)


def _on(name: str) -> str:
    return f" on {name}" if name else ""


def salt_of(kind: str, of: str) -> str:
    """Of the ids in an SVG, which may be letters and digits alone."""
    return f"{kind}-{hashlib.sha256(of.encode()).hexdigest()[:8]}" if of else kind


def _axes(bars: Sequence[Bar], width: float = _SIZE[0]) -> tuple[Any, Any]:
    matplotlib = require_matplotlib()
    height = 0.9 + 0.37 * len(bars)
    figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.tick_params(colors=INK, labelsize=12)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.label.set(color=INK, size=12)
    axes.grid(axis="x", color=INK, alpha=0.13, linewidth=0.8)
    axes.set_axisbelow(True)
    # Escaped: a label is a name, and "$" would begin a formula.
    axes.set_yticks(range(len(bars)), [bar.label.replace("$", r"\$") for bar in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    return figure, axes


def _intervals(axes: Any, bars: Sequence[Bar], *, colour: str | None) -> None:
    for y, bar in enumerate(bars):
        low, high = bar.ci95
        own = colour or _colour(bar)
        axes.plot([low, high], [y, y], color=own, linewidth=2 if colour is None else 1.4)
        axes.plot([low, high], [y, y], "|", color=own, markersize=8, markeredgewidth=1.4)
        if colour is None:
            axes.plot([bar.value], [y], "o", color=own, markersize=8)


def _colour(bar: Bar) -> str:
    return BLUE if bar.is_highlighted else _GREY


def svg_of(figure: Any, title: str, *, salt: str) -> str:
    """Without date and metadata and with fixed ids: the same figure is the same text."""
    figure.patch.set_visible(False)
    file = io.StringIO()
    settings = {"svg.hashsalt": f"w2stree-{salt}", "svg.fonttype": "none"}
    with require_matplotlib().rc_context(settings):
        figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # The page's fonts and rules, not matplotlib's: those would leak out, or not be installed.
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r"\s*<style.*?</style>", "", svg, flags=re.DOTALL)
    # Ids of two charts on a page must differ, whatever matplotlib calls its groups.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{salt}-", svg)
    head = f'<svg class="chart" role="img" aria-label="{escape(title)}"'
    return svg.replace("<svg", head, 1).strip()
