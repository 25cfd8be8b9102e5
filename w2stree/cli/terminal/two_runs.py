"""Two runs beside one another, from where they part, as rows of a `TextPane`.

Two runs, from where they part
2 steps in common: look > take
Where they stood
  You take the mug.
Return 1, chosen    │ Return 0, rejected
                    │
3. wash             │ 3. wait
= It is clean.      │ = Time passes.
                    │ It has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from w2stree.cli.say import counted
from w2stree.cli.terminal.text_pane import Paragraph, Row
from w2stree.cli.transcript import NO_ACTION, described, step_lines
from w2stree.trajectories.returns import is_same
from w2stree.viewer import OpenAt

if TYPE_CHECKING:
    from w2stree.cli.terminal.looked_at import LookedAt
    from w2stree.trajectories.trajectory import Trajectory


def two_runs(of: LookedAt, one: int, other: int) -> Iterator[Row]:
    """Of one task, by their indices in the forest: what they share in short, then both step by
    step, every text whole."""
    forest = of.forest
    runs = [forest.trajectories[index] for index in (one, other)]
    parting = OpenAt(runs=(one, other)).whole(forest).node
    assert parting is not None
    shared = int(forest.depth[parting])
    yield (_in_common(of, parting, shared),)
    if shared:
        answer = runs[0].steps[shared - 1].observation
        yield ([("", ""), ("Where they stood", "head"), (answer, "text")],)
    returns = [run.total_return for run in runs]
    marks = ("chosen", "rejected") if returns[0] > returns[1] else ("rejected", "chosen")
    if is_same(*returns):
        marks = ("", "")
    yield _head(of, one, marks[0]), _head(of, other, marks[1])
    for i in range(shared, max(len(run.steps) for run in runs)):
        yield _step(runs[0], i), _step(runs[1], i)


def _in_common(of: LookedAt, parting: int, shared: int) -> list[Paragraph]:
    forest = of.forest
    nodes = forest.path_to(parting)[1:]
    actions = (forest.actions[forest.action_id[node]] or NO_ACTION for node in nodes)
    told = (
        f"{counted(shared, 'step')} in common: {' > '.join(actions)}"
        if shared
        else "They part at the first step"
    )
    return [("Two runs, from where they part", "head"), (told, "soft")]


def _head(of: LookedAt, index: int, mark: str) -> list[Paragraph]:
    run = of.forest.trajectories[index]
    title = f"Return {run.total_return:g}{f', {mark}' if mark else ''}"
    place = [(of.place(index), "soft")] if of.place(index) else []
    return [("", ""), (title, "head"), *place, (described(run), "soft"), ("", "")]


def _step(run: Trajectory, i: int) -> list[Paragraph]:
    if i < len(run.steps):
        return [("\n".join(step_lines(i + 1, run.steps[i])), "text"), ("", "")]
    return [("It has ended.", "soft"), ("", "")] if i == len(run.steps) else []
