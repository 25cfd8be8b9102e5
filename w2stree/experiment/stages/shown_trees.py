"""The explored trees, for the report: all of them to browse, and those that show most as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.evidence import statement
from w2stree.forest.forest import Forest
from w2stree.forest.tree import Tree
from w2stree.report.evidence import ShownRows
from w2stree.report.text import ShownTree
from w2stree.report.trees import choose_trees, still
from w2stree.viewer import MadeRow, OpenAt
from w2stree.viewer.view import Shown, framed

_MOST_CHARACTERS = 100_000_000
"""Of all runs that a page holds: of the quickstart's 16 come to a byte of the page."""


def shown_trees(context: Context) -> list[ShownTree]:
    """Those that show most, best first."""
    best = context.best_path_figures()
    return [
        ShownTree(
            task_id=tree.task_id,
            statement=statement(tree.trajectories[0], context.config.prompt.instruction),
            caption=_caption(tree, best[tree.task_id]["total_return"]),
            node=tree.root,
            text=still(tree),
        )
        for tree in choose_trees(context.forest())
    ]


def _caption(tree: Tree, best: float) -> str:
    returns = [t.total_return for t in tree.trajectories]
    return (
        f"{len(returns)} runs with returns from {min(returns):.2f} to {max(returns):.2f}; "
        f"the best path's is {best:.2f}"
    )


def view_of_trees(
    context: Context, trees: Sequence[ShownTree], rows: ShownRows | None
) -> bytes | None:
    """A view of all trees that opens at the first of these, with the run's own best paths and these
    rows where they were made. None where it would be too large for a page that is read."""
    forest, config = context.forest(), context.config
    if _num_characters(forest) > _MOST_CHARACTERS:
        return None
    shown = Shown(
        title=f"explored by {config.name}",
        success_threshold=config.evaluate.success_threshold,
        search=config.search.run(forest),
        rows=list(_made(rows)),
        open_at=OpenAt(node=trees[0].node) if trees else None,
    )
    return framed(forest, shown)


def _num_characters(forest: Forest) -> int:
    return sum(
        len(step.action) + len(step.response) + len(step.observation)
        for run in forest.trajectories
        for step in run.steps
    )


def _made(rows: ShownRows | None) -> Iterator[MadeRow]:
    """The rows that were made at a node."""
    for number, row in enumerate(() if rows is None else rows.rows, start=1):
        if row.node is not None:
            yield MadeRow(
                place=f"row {number} of the report",
                task_id=row.task_id,
                node=row.node,
                depth=row.depth,
                gap=row.gap,
                chosen=_words(row.chosen),
                rejected=_words(row.rejected),
            )


def _words(side: Sequence[tuple[str, str]]) -> str:
    return "\n\n".join(words for who, words in side if who == "agent")
