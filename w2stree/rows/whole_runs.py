"""Preference rows of whole runs, in no tree: an expert's against a model's own, or any two.

expert_rows   task 1: expert 1.0 │ own 0.0, own 0.4, own 1.0    two rows: expert over own
random_rows   task 1: 0.0, 1.0   │ task 2: 0.5, 0.5             (task 1's 1.0 over task 2's 0.5), …

A row's prompt is each side's own opening; a row of two tasks scores each run under its own task.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from w2stree.formats.agenttraj import learned_turns
from w2stree.rows.rows import NO_NODE, PreferenceRow, is_taught
from w2stree.trajectories.returns import tolerance
from w2stree.trajectories.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class ExpertRows:
    """The rows, and the runs that gave none."""

    rows: tuple[PreferenceRow, ...]
    num_as_good: int
    """Own runs that did as well as the expert's."""
    num_without_expert: int
    """Own runs of tasks that no expert showed."""
    num_unusable: int
    """Own runs that ended in an error, without a turn, or with one that is not to be learned."""


def expert_rows(
    experts: Iterable[Trajectory], own: Iterable[Trajectory], *, more_turns: int | None = None
) -> ExpertRows:
    """A row for each own run whose return differs from the expert's on the task: the better one is
    chosen, mostly the expert's.

    Own runs that read alike are one row, of so many (`num_rejected`). `more_turns`: of an own run
    that is worse no more turns count than the expert's run has and so many; it may have gone astray
    for long. Of several expert runs of a task the first counts. In the order of the own runs.
    """
    shown: dict[str, Trajectory] = {}
    for one in experts:
        if _is_usable(one):
            shown.setdefault(one.task_id, one)
    alike: dict[Hashable, list[Trajectory]] = {}
    num_as_good = num_without = num_unusable = 0
    for run in own:
        expert = shown.get(run.task_id)
        if run.status == "error" or not _is_usable(run):
            num_unusable += 1
        elif expert is None:
            num_without += 1
        elif not _differ(expert, run):
            num_as_good += 1
        else:
            alike.setdefault((run.task_id, *_reads(run), run.total_return), []).append(run)
    rows = tuple(
        _against_expert(shown[runs[0].task_id], runs, more_turns) for runs in alike.values()
    )
    return ExpertRows(rows, num_as_good, num_without, num_unusable)


def random_rows(runs: Sequence[Trajectory], num_rows: int, *, seed: int) -> list[PreferenceRow]:
    """`num_rows` distinct pairs of runs of two tasks with different returns, drawn uniformly, the
    better one chosen; all such pairs, in a drawn order, where there are no more.

    Two tasks are two openings: tasks that read alike are one. Runs that ended in an error, have no
    turn with an action, turns without words or such as are not to be learned are left out. Expected
    O(num_rows) draws where such pairs are common; O(runs²) where they are not.
    """
    usable = [run for run in runs if run.status != "error" and _is_usable(run)]
    draw = random.Random(seed)
    found: dict[tuple[int, int], PreferenceRow] = {}
    for _ in range(20 * num_rows if len(usable) > 1 else 0):
        if len(found) == num_rows:
            break
        i, j = sorted(draw.sample(range(len(usable)), 2))
        if (i, j) not in found and _are_comparable(usable[i], usable[j]):
            found[i, j] = _of_two(usable[i], usable[j])
    if len(found) < num_rows:  # few pairs: look at all
        n = len(usable)
        pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
        rest = [p for p in pairs if p not in found and _are_comparable(*(usable[k] for k in p))]
        for i, j in draw.sample(rest, min(len(rest), num_rows - len(found))):
            found[i, j] = _of_two(usable[i], usable[j])
    return list(found.values())


def _against_expert(
    expert: Trajectory, runs: Sequence[Trajectory], more_turns: int | None
) -> PreferenceRow:
    run = runs[0]
    gap = expert.total_return - run.total_return
    better, worse = (expert, run) if gap > 0 else (run, expert)
    num_better, num_worse = (1, len(runs)) if gap > 0 else (len(runs), 1)
    is_cut = gap > 0 and more_turns is not None
    return PreferenceRow(
        chosen=better,
        rejected=worse,
        begin=0,
        end=len(expert.steps) + (more_turns or 0) if is_cut else None,
        divergence=NO_NODE,
        gap=abs(gap),
        chosen_return=better.total_return,
        rejected_return=worse.total_return,
        num_chosen=num_better,
        num_rejected=num_worse,
    )


def _of_two(one: Trajectory, other: Trajectory) -> PreferenceRow:
    better, worse = (one, other) if one.total_return > other.total_return else (other, one)
    return PreferenceRow(
        chosen=better,
        rejected=worse,
        begin=0,
        end=None,
        divergence=NO_NODE,
        gap=better.total_return - worse.total_return,
        chosen_return=better.total_return,
        rejected_return=worse.total_return,
        num_chosen=1,
        num_rejected=1,
    )


def _are_comparable(one: Trajectory, other: Trajectory) -> bool:
    return one.prompt != other.prompt and one.task_id != other.task_id and _differ(one, other)


def _differ(one: Trajectory, other: Trajectory) -> bool:
    """In return, by more than rounding."""
    most = max(abs(one.total_return), abs(other.total_return))
    return abs(one.total_return - other.total_return) > tolerance(most)


def _is_usable(run: Trajectory) -> bool:
    """Whole, every turn of a row is taught: none may be there to be read alone."""
    if learned_turns([run]) is not None:
        return False
    return all(step.is_worded for step in run.steps) and any(map(is_taught, run.steps))


def _reads(run: Trajectory) -> tuple[str, ...]:
    """All that a row shows of it; the last answer is read by nobody."""
    said = [text for step in run.steps for text in (step.response, step.observation)]
    return tuple(said[:-1])
