"""Training data from the tree: preference rows (Eq. 6) and demonstration rows (L_SFT, L_MCTS).

chosen    u a1 o1 │ a2 o2 a3            step:   only a2 against a2'
rejected  u a1 o1 │ a2' o2' a3' o3'     suffix: everything after │, observations masked
          prompt h│ s+ / s-

As trainers of this package take them; for stock TRL see `w2stree.rows.trl_datasets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray

from w2stree.errors import InvalidInput
from w2stree.rows.comparisons import Found, PairColumns, columns_of, compare
from w2stree.rows.worded import rendered
from w2stree.trajectories.answers import shape_of
from w2stree.trajectories.returns import mean_return
from w2stree.trajectories.trajectory import Step, Trajectory

if TYPE_CHECKING:
    from w2stree.forest.pairs import PreferencePair, PreferencePairs

Completion = Literal["step", "suffix"]

WORDLESS = (
    "their log kept actions without the agent's words (Step.response); render_actions=True, "
    "--render-actions, makes each the turn 'Action: …'"
)
"""Why turns of which only the action is known give no row."""

_PAIRS_AT_ONCE = 1 << 13

UNLEARNED = "not to be learned (loss: false)"
NO_WORDS = "of actions without words"
"""Why turns that are only to be read give no row."""

NO_NODE = -1
"""The divergence of rows that compare whole runs."""


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """What DPO sees of a pair: a history, then two continuations.

    Turns [begin, end) of each side are compared; `end` None means up to the last. The sides share
    the history, turns [0, begin), so `begin` is its depth: their actions agree in it, and so do
    the environment's answers (`is_one_history`), unless a rule of merging took different ones for
    one. Thoughts may differ; the chosen side's are shown.
    """

    chosen: Trajectory
    rejected: Trajectory
    begin: int
    end: int | None
    divergence: int
    """Node of the forest after the history; `NO_NODE` where whole runs are compared, in no tree."""
    gap: float
    """How much better the chosen side did, in return; see `preference_rows`. > 0."""
    chosen_return: float
    """Mean over the `num_chosen` trajectories behind the chosen side."""
    rejected_return: float
    num_chosen: int
    """Distinct trajectories of the row's pairs that took the chosen side."""
    num_rejected: int
    confidence: float = 1.0
    """How sure it is that the chosen side is the better one: DPO learns both labels in these shares
    (`trees.objectives.Dpo`)."""
    weight: float = 1.0
    """How much its loss counts: 2 is a row that is there twice."""

    @property
    def task_id(self) -> str:
        """The chosen side's."""
        return self.chosen.task_id

    @property
    def history(self) -> tuple[Step, ...]:
        """The chosen side's."""
        return self.chosen.steps[: self.begin]

    @property
    def is_one_history(self) -> bool:
        """Whether both sides were asked the same, and the environment said the same to both before
        they part."""
        chosen, rejected = self.chosen, self.rejected
        if chosen.prompt != rejected.prompt:
            return False
        histories = chosen.steps[: self.begin], rejected.steps[: self.begin]
        for one, other in zip(*histories, strict=True):
            if one is not other and one.observation != other.observation:
                return False
        return shape_of(chosen, self.begin) == shape_of(rejected, self.begin)

    def turns(self, side: Trajectory) -> tuple[Step, ...]:
        """The compared turns of `chosen` or `rejected`."""
        return side.steps[self.begin : self.end]


@dataclass(frozen=True, slots=True)
class PreferenceRows(Sequence[PreferenceRow]):
    """The rows, and how many comparisons gave none."""

    rows: tuple[PreferenceRow, ...]
    num_undecided: int
    """Gaps that cancel: the two sides did equally well."""
    num_alike: int
    """Two actions whose turns read the same: there is nothing to prefer."""
    num_without_action: int
    """Better sides none of whose turns holds an action: not to be taught."""
    num_wordless: int
    """Sides of which only actions are known, in no pair their words."""
    num_unlearned: int = 0
    """Sides of which, in every pair, a turn is only to be read (AgentTraj's `loss: false`)."""

    @property
    def left_out(self) -> dict[str, int]:
        """How many comparisons gave no row, by what they are."""
        return {
            "undecided": self.num_undecided,
            "that read alike": self.num_alike,
            "whose better side has no action": self.num_without_action,
            NO_WORDS: self.num_wordless,
            UNLEARNED: self.num_unlearned,
        }

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> PreferenceRow: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PreferenceRow]: ...
    def __getitem__(self, index: int | slice) -> PreferenceRow | Sequence[PreferenceRow]:
        return self.rows[index]

    def __iter__(self) -> Iterator[PreferenceRow]:
        return iter(self.rows)


def notes_of(
    num_errors: int, num_wordless: int, num_untaught: int, num_unlearned: int = 0
) -> list[str]:
    """A sentence for each kind of trajectories that gave no row, none for none."""
    reasons = (
        (num_errors, "they ended in an error, which says nothing about their task"),
        (num_wordless, WORDLESS),
        (num_untaught, "none of their turns has an action"),
        (num_unlearned, "none of their turns with an action is to be learned"),
    )
    return [f"{count} trajectories are left out: {why}" for count, why in reasons if count]


def preference_rows(
    pairs: Iterable[PreferencePair], completion: Completion, *, render_actions: bool = False
) -> PreferenceRows:
    """One row for each distinct pair of texts, in the order of the pairs of one forest.

    `suffix` compares what two trajectories did after they parted, `step` two actions at a
    divergence. All that speaks about one row is summed: pairs with these two actions (`step`), and
    pairs that read alike, of other tasks too: tasks with equal prompts are one task to whoever
    reads them. The sign of the summed gaps decides which side is chosen, and a sum of zero (but for
    rounding) gives no row, so no row is there in both directions. Of all pairs of a forest the sum
    over two actions is n_a n_b (mean_a - mean_b) in a task: the order of their mean returns. With a
    `min_gap` or another choice of pairs it is not, and the sign may be the other one.

    A row's `gap`, > 0, is the mean over its pairs, those that prefer the other side counted
    negative. Its returns and counts are of the distinct trajectories in its pairs. Task,
    divergence and texts are those of the first pair that prefers the chosen side.

    No row comes of two sides that read the same, of a better side without an action, of turns that
    are only to be read (`formats.agenttraj.learned_turns`; what their runs earned counts), and of
    turns whose words a log did not keep (`Step.is_worded`). With `render_actions` such a turn is
    `Action: …`, words that nobody said. `PreferenceRows` counts each kind.

    Raises `InvalidInput` for an unknown `completion`, for trajectories without a prompt (of a
    forest that does not know them) and for pairs of several forests that give one node two
    meanings. O(num_pairs) rows are held at a time.
    """
    if completion not in get_args(Completion):
        raise InvalidInput(f"completion is {completion!r}; use 'step' or 'suffix'")
    columns = columns_of(pairs)
    if render_actions:
        columns = replace(columns, runs=[rendered(run) for run in columns.runs])
    found = compare(columns, is_one_turn=completion == "step")
    return PreferenceRows(
        tuple(_rows(columns, found, 1 if completion == "step" else None)),
        num_undecided=found.num_undecided,
        num_alike=found.num_alike,
        num_without_action=found.num_without_action,
        num_wordless=found.num_wordless,
        num_unlearned=found.num_unlearned,
    )


def stream_preference_rows(
    pairs: PreferencePairs, completion: Completion, *, render_actions: bool = False
) -> Iterator[PreferenceRows]:
    """`preference_rows` of one forest's pairs, in blocks of whole tasks; tasks with equal prompts,
    which are one task to whoever reads them, are in one block. Tasks are in the order of their
    first pairs. A block ends with the task that brings it to `_PAIRS_AT_ONCE` pairs.

    Memory: the columns of the pairs, and the rows of one block. Raises as `preference_rows`.
    """
    forest = pairs.forest
    tree = np.searchsorted(forest.root, pairs.divergence, side="right") - 1
    first = np.unique(tree, return_index=True)
    asked: dict[object, list[NDArray[np.intp]]] = {}
    bounds = [*first[1].tolist(), len(pairs)]
    for begin, end in pairwise(bounds):
        prompt = forest.trajectories[int(pairs.chosen[begin])].prompt
        asked.setdefault(prompt, []).append(np.arange(begin, end))
    for indices in _together(asked.values()):
        block = pairs.select(indices)
        yield preference_rows(block, completion, render_actions=render_actions)


def _together(tasks: Iterable[list[NDArray[np.intp]]]) -> Iterator[NDArray[np.intp]]:
    """The indices of tasks, so many tasks at once that what a block costs is little a row."""
    block: list[NDArray[np.intp]] = []
    num_pairs = 0
    for indices in tasks:
        block += indices
        num_pairs += sum(map(len, indices))
        if num_pairs >= _PAIRS_AT_ONCE:
            yield np.concatenate(block)
            block, num_pairs = [], 0
    if block:
        yield np.concatenate(block)


def _rows(pairs: PairColumns, found: Found, num_turns: int | None) -> Iterator[PreferenceRow]:
    runs = pairs.runs
    columns = (
        *(c[found.shown].tolist() for c in (pairs.chosen, pairs.rejected)),
        *(c[found.shown].tolist() for c in (pairs.depth, pairs.divergence)),
        (found.net_gap / found.num_pairs).tolist(),
        found.returns,
    )
    for i, j, begin, node, gap, (chosen, rejected) in zip(*columns, strict=True):
        yield PreferenceRow(
            runs[i],
            runs[j],
            begin,
            None if num_turns is None else begin + num_turns,
            node,
            gap,
            mean_return(chosen),
            mean_return(rejected),
            len(chosen),
            len(rejected),
        )


def is_taught(step: Step) -> bool:
    """Whether a model may learn to say this turn: one that holds no action costs a step and gets
    nothing for it, however well the run ended."""
    return bool(step.action)
