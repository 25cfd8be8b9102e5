"""What is known of a node, whole, to read from top to bottom.

Step 3
3 runs, mean return 0.50 (0 to 1), 2 pairs made here
Action
  take mug 1
Said, in 2 ways
…
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from w2stree.cli.say import counted
from w2stree.cli.terminal.text_pane import Paragraph
from w2stree.cli.transcript import NO_ACTION, described, transcript
from w2stree.trajectories.returns import tolerance

if TYPE_CHECKING:
    from w2stree.cli.terminal.looked_at import LookedAt

_MOST_WAYS = 20  # of saying something at one node, whole
_MOST_RUNS = 200  # in a list
_NOTHING = "(nothing)"


def node_text(of: LookedAt, node: int) -> Iterator[Paragraph]:
    """Action, what the runs said, the answer; of a root what is asked; then where runs went on,
    and which passed, the best first."""
    forest = of.forest
    depth = int(forest.depth[node])
    yield f"Step {depth}" if depth else "Task", "head"
    yield from _numbers(of, node)
    if depth:
        yield from _section("Action", forest.actions[forest.action_id[node]])
        yield from _said(of, node)
        yield from _section("Answer", forest.observations[forest.observation_id[node]])
    else:
        yield from _section("Its id", of.task_of(node))
        yield from _asked(of, node)
    yield from _onward(of, node)
    yield from _through(of, node)


def run_text(of: LookedAt, run: int) -> Iterator[Paragraph]:
    """A run from its prompt to its end."""
    trajectory = of.forest.trajectories[run]
    yield "One run, whole", "head"
    place = of.place(run)
    yield f"{place}: {described(trajectory)}" if place else described(trajectory), "soft"
    yield "", ""
    yield "\n".join(transcript(trajectory)), "text"


def _section(title: str, text: str) -> Iterator[Paragraph]:
    yield "", ""
    yield title, "head"
    yield text or _NOTHING, "text"


def _numbers(of: LookedAt, node: int) -> Iterator[Paragraph]:
    forest, count = of.forest, int(of.forest.num_trajectories[node])
    told = [counted(count, "run")]
    if count:
        returns = forest.total_return[of.runs(node)]
        mean = forest.return_sum[node] / count
        told.append(f"mean return {mean:.3f} ({returns.min():g} to {returns.max():g})")
        if of.success_at is not None:
            wins = int((returns >= of.success_at - tolerance(of.success_at)).sum())
            told.append(f"{counted(wins, 'success').replace('sss', 'sses')}")
    if forest.num_terminal[node]:
        told.append(f"{int(forest.num_terminal[node]):,} end here")
    if of.num_pairs[node]:
        told.append(f"{counted(int(of.num_pairs[node]), 'pair')} made here")
    if of.is_best[node]:
        told.append("on a best path of the search")
    yield ", ".join(told), "soft"


def _asked(of: LookedAt, node: int) -> Iterator[Paragraph]:
    if of.forest.parts.trajectories is None or not of.forest.num_trajectories[node]:
        return
    first = of.forest.trajectories[int(of.runs(node)[0])]
    for message in first.prompt:
        yield from _section(f"What is asked: {message.role}", message.content)


def _said(of: LookedAt, node: int) -> Iterator[Paragraph]:
    """What runs said on the way here, where it is more than the action, the most frequent first."""
    if of.forest.parts.trajectories is None:
        return
    step = int(of.forest.depth[node]) - 1
    runs = of.runs(node).tolist()
    steps = (of.forest.trajectories[run].steps[step] for run in runs)
    ways = Counter(s.response for s in steps if s.response.strip() not in ("", s.action.strip()))
    if ways:
        yield "", ""
        yield "Said" if len(ways) == 1 else f"Said, in {len(ways):,} ways", "head"
    for text, count in ways.most_common(_MOST_WAYS):
        if len(runs) > 1:
            yield counted(count, "run"), "soft"
        yield text, "text"
    if len(ways) > _MOST_WAYS:
        yield f"({len(ways) - _MOST_WAYS:,} more ways: read the runs)", "soft"


def _onward(of: LookedAt, node: int) -> Iterator[Paragraph]:
    forest = of.forest
    children = of.children(node)
    if not children:
        return
    num_actions = int(forest.num_actions[node])
    yield "", ""
    yield f"Here runs part: {num_actions:,} actions" if num_actions > 1 else "Next", "head"
    if len(children) > num_actions:
        yield "One action was answered in several ways", "soft"
    for child in children[:_MOST_RUNS]:
        count = int(forest.num_trajectories[child])
        mean = f", mean return {forest.return_sum[child] / count:.3f}" if count else ""
        yield f"{counted(count, 'run')}{mean}", "soft"
        yield forest.actions[forest.action_id[child]] or NO_ACTION, "text"
    yield from _more(children, "branches")


def _through(of: LookedAt, node: int) -> Iterator[Paragraph]:
    forest, best_first = of.forest, of.best_first(node)
    if not best_first:
        return
    yield "", ""
    yield (
        "Runs through here, the best first" if forest.depth[node] else "Runs, the best first",
        "head",
    )
    given = forest.parts.trajectories
    for run in best_first[:_MOST_RUNS]:
        steps = counted(int(forest.depth[forest.end_node[run]]), "step")
        ended = f"{given[run].status} after {steps}" if given is not None else steps
        yield f"{forest.total_return[run]:g}  {ended}  {of.place(run)}".rstrip(), "text"
    yield from _more(best_first, "runs")


def _more(entries: Sequence[int], what: str) -> Iterator[Paragraph]:
    if len(entries) > _MOST_RUNS:
        yield f"({len(entries) - _MOST_RUNS:,} more {what})", "soft"
