"""A view in a cell of a notebook: the page of `write_view`, and what is selected in it.

widget.selected ──{"node": 17, "runs": [3, 9]}──> widget.js ──> frame: the page
                <──                            ───          <──
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from w2stree.errors import InvalidInput, not_imported
from w2stree.forest.build import build_forest
from w2stree.forest.forest import Forest
from w2stree.forest.search import SearchResult
from w2stree.trajectories.trajectory import Trajectory
from w2stree.viewer.made_rows import MadeRow
from w2stree.viewer.opening import OpenAt
from w2stree.viewer.view import Shown, framed

try:
    import anywidget
    import traitlets
except ModuleNotFoundError as error:
    raise not_imported(error, "notebook", "a view in a notebook") from None

_NOWHERE = -1  # in JSON, for a node


def _written(place: OpenAt, widget: ForestWidget) -> dict[str, Any]:
    """As the page takes it: whose task a node is, it knows."""
    return {"node": _NOWHERE if place.node is None else place.node, "runs": list(place.runs or ())}


def _read(told: Any, widget: ForestWidget) -> OpenAt:
    """Raises `InvalidInput` for what the page cannot have said, and what was selected stays."""
    try:
        node, runs = told["node"], tuple(told["runs"])
    except (TypeError, KeyError, ValueError):
        raise InvalidInput(f"{told!r} is no place of a view") from None
    if not all(type(number) is int for number in (node, *runs)):
        raise InvalidInput(f"{told!r} is no place of a view")
    place = OpenAt(node=None if node == _NOWHERE else node, runs=runs or None)
    return place.whole(widget.forest, "selected")


class ForestWidget(anywidget.AnyWidget):
    """A forest to browse in a cell of a notebook, as `write_view` writes it to a file.

    runs: a forest, or trajectories, which `build_forest` makes into one.
    height: of the cell, in pixels.
    The others are those of `write_view`.

    The page stands in a frame that may run its own script and nothing else: it reaches neither the
    notebook nor a server. The widget holds all of its texts, and so does a notebook that is saved
    with the state of its widgets.

    Raises `MissingDependency` where anywidget is not installed, and what `build_forest` and
    `write_view` raise; costs what `write_view` does, and twice the file in memory: here and in the
    browser.
    """

    _esm = (files("w2stree.viewer") / "widget.js").read_text(encoding="utf-8")
    _page = traitlets.Bytes().tag(sync=True)

    height = traitlets.Int(640, min=1).tag(sync=True)
    """Pixels."""

    selected = traitlets.Instance(OpenAt).tag(sync=True, to_json=_written, from_json=_read)
    """What is shown: a task and a node, and the runs that are read, one or two. Follows the reader
    (`widget.observe(act, "selected")`); set it, and all cells with this widget go there. Raises
    `InvalidInput` for what the forest does not have."""

    def __init__(
        self,
        runs: Forest | Iterable[Trajectory],
        *,
        height: int = 640,
        title: str = "forest",
        places: Sequence[str] = (),
        min_gap: float = 0.0,
        success_threshold: float | None = None,
        search: SearchResult | None = None,
        recombined: Sequence[Trajectory] = (),
        rows: Sequence[MadeRow] = (),
        open_at: OpenAt | None = None,
    ) -> None:
        self.forest = runs if isinstance(runs, Forest) else build_forest(runs)
        """What is browsed."""
        shown = Shown(
            title=title,
            places=places,
            min_gap=min_gap,
            success_threshold=success_threshold,
            search=search,
            recombined=recombined,
            rows=rows,
            open_at=open_at,
        )
        super().__init__(
            _page=framed(self.forest, shown),
            height=height,
            selected=OpenAt() if open_at is None else open_at,
        )

    @property
    def selected_runs(self) -> list[int]:
        """Indices into `forest.trajectories`: of the runs that are read, if there are any, or else
        of those through the selected node, in input order; none where nothing is selected."""
        place = self.selected
        if place.runs is not None:
            return list(place.runs)
        if place.node is None:
            return []
        first, count = (
            int(column[place.node])
            for column in (self.forest.first_trajectory, self.forest.num_trajectories)
        )
        through: list[int] = np.sort(self.forest.trajectory_order[first : first + count]).tolist()
        return through

    @property
    def selected_trajectories(self) -> list[Trajectory]:
        """Those of `selected_runs`."""
        return [self.forest.trajectories[index] for index in self.selected_runs]

    @traitlets.validate("selected")
    def _whole(self, proposal: Any) -> OpenAt:
        place: OpenAt = proposal["value"]
        return place.whole(self.forest, "selected")
