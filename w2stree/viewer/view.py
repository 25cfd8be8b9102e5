"""A forest as one HTML file.

forest ──┬─ tree_columns, pair_columns, search_columns ──┐
runs   ──┴─ run_columns, path_columns ───────────────────┴─> packed ──> page ──> view.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.forest.arguments import finite
from w2stree.forest.forest import Forest
from w2stree.forest.search import SearchResult
from w2stree.shorten import visible
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.returns import usual_threshold
from w2stree.trajectories.trajectory import Trajectory
from w2stree.viewer.forest_columns import pair_columns, search_columns, tree_columns
from w2stree.viewer.made_rows import MadeRow, row_columns
from w2stree.viewer.opening import OpenAt
from w2stree.viewer.packing import packed
from w2stree.viewer.page import page
from w2stree.viewer.path_columns import path_columns
from w2stree.viewer.run_columns import run_columns
from w2stree.viewer.text_table import TextTable

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a view has beside the forest: the arguments of `write_view`."""

    title: str = "forest"
    places: Sequence[str] = ()
    min_gap: float = 0.0
    success_threshold: float | None = None
    search: SearchResult | None = None
    recombined: Sequence[Trajectory] = ()
    rows: Sequence[MadeRow] = ()
    open_at: OpenAt | None = None


def write_view(
    forest: Forest,
    path: str | os.PathLike[str],
    *,
    title: str = "forest",
    places: Sequence[str] = (),
    min_gap: float = 0.0,
    success_threshold: float | None = None,
    search: SearchResult | None = None,
    recombined: Sequence[Trajectory] = (),
    rows: Sequence[MadeRow] = (),
    open_at: OpenAt | None = None,
) -> None:
    """Write a forest as one HTML file to browse, whole in itself: no server, no network.

    What runs said is in it where the forest has its trajectories (`build_forest`,
    `with_trajectories`); a saved forest alone has actions and observations.

    places: where each of `forest.trajectories` stands, "runs.jsonl:3", for people to find it.
    min_gap: pairs are counted whose returns differ by at least so much.
    success_threshold: the return from which on a run is a success; as `Forest.tasks`.
    search: whose visits and best paths are shown; if not given, one of 1,000 descents a tree.
    recombined: paths that were made of the runs, to be shown beside each task's tree.
    rows: preference rows that were made of this forest (`made_rows.made_row`), to be shown where
        they were made.
    open_at: what is shown first.

    All or nothing, and what was at `path` is replaced (`trajectories.replacing`). Equal arguments
    give equal bytes. Raises `InvalidInput` for a place that is none, for another number of
    `places`, a search or rows of another forest, and for more than a browser can open.
    O(nodes + steps), and packing: about a second for 30 MB of text.
    """
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
    pieces = _page(forest, shown, in_frame=False)
    with replacing(path, "wb") as file:
        for piece in pieces:
            file.write(piece)


def framed(forest: Forest, shown: Shown) -> bytes:
    """The page of `write_view` for a frame of another page: it posts each place that is shown to
    that page, {"node": 17, "runs": [3, 9], "isFirst": true}, and goes where that posts it,
    "node=17" (`OpenAt.fragment`). Errors and cost as those of `write_view`."""
    return b"".join(_page(forest, shown, in_frame=True))


def _page(forest: Forest, shown: Shown, *, in_frame: bool) -> Iterator[bytes]:
    header, columns = _content(forest, shown, in_frame=in_frame)
    return page(packed(header, columns), title=shown.title)


def _content(
    forest: Forest, shown: Shown, *, in_frame: bool
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The header and the columns of a view (docs/viewer.md). Raises as `write_view`."""
    places, search, open_at = shown.places, shown.search, shown.open_at
    if open_at is not None:
        open_at.check(forest)
    if len(places) not in (0, len(forest.total_return)):
        raise InvalidInput(
            f"{len(places):,} places for {len(forest.total_return):,} runs; give one for each"
        )
    if search is None:
        search = searched(forest)
    elif search.forest is not forest:
        raise InvalidInput("search is the result of another forest")
    texts = TextTable()
    columns = {
        **tree_columns(forest, texts),
        **pair_columns(forest, finite("min_gap", shown.min_gap)),
        **search_columns(search),
        **path_columns(forest, shown.recombined, texts),
        **row_columns(forest, shown.rows, texts),
    }
    given = forest.parts.trajectories
    if given is not None:
        columns |= run_columns(forest, given, places, texts)
    header = {
        "version": VERSION,
        "title": visible(shown.title),
        "min_gap": shown.min_gap,
        "success_at": success_at(forest, shown.success_threshold),
        "num_errors": forest.num_errors,
        "open_at": None if open_at is None else open_at.fragment(),
        "in_frame": in_frame,
    }
    return header, columns | texts.columns()


def searched(forest: Forest) -> SearchResult:
    """The search that a view shows where none is given: 1,000 descents a tree."""
    returns = forest.total_return
    low, high = float(returns.min(initial=0.0)), float(returns.max(initial=1.0))
    return forest.search(return_range=(low, high))


def success_at(forest: Forest, given: float | None) -> float | None:
    """The return from which on a run is a success; None where nothing says so."""
    if given is not None:
        return finite("success_threshold", given)
    returns = forest.total_return
    return usual_threshold(returns.min(initial=0.0), returns.max(initial=0.0))
