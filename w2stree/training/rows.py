"""Training data from the tree: preference rows (Eq. 6) and demonstration rows (L_SFT, L_MCTS).

chosen    u a1 o1 │ a2 o2 a3            step:   only a2 against a2'
rejected  u a1 o1 │ a2' o2' a3' o3'     suffix: everything after │, observations masked
          prompt h│ s+ / s-

As trainers of this package take them; for stock TRL see `w2stree.training.trl_datasets`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

from w2stree.errors import InvalidInput
from w2stree.training.comparisons import (
    Comparison,
    Fit,
    Shown,
    Sides,
    Texts,
    compared_steps,
    compared_suffixes,
    rendered,
    require_prompt,
)
from w2stree.training.learned import Learned, check_learned
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    from w2stree.forest.pairs import PreferencePair

Completion = Literal["step", "suffix"]

WORDLESS = (
    "their log kept actions without the agent's words (Step.response); render_actions=True makes "
    "each the turn 'Action: …'"
)
"""Why turns of which only the action is known give no row."""

NO_NODE = -1
"""The divergence of rows that compare whole runs."""

IGNORED = -100
"""The label of a token that is not trained on (PyTorch's cross-entropy default)."""


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
        theirs = self.rejected.steps[: self.begin]
        return self.chosen.prompt == self.rejected.prompt and all(
            a.observation == b.observation for a, b in zip(self.history, theirs, strict=True)
        )

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


@dataclass(slots=True)
class TokenizedRows:
    """Rows ready for a trainer, and what was left out of them."""

    rows: list[dict[str, list[int]]]
    kept: list[Trajectory]
    """What each row is of."""
    too_long: list[Trajectory]
    """Left out because they exceed the length."""
    num_errors: int = 0
    """Left out: it ended in an error, which says nothing about its task."""
    num_wordless: int = 0
    """Left out: a step of which only the action is known."""
    num_untaught: int = 0
    """Left out: no turn is taught."""
    num_untaught_turns: int = 0
    """Turns without an action in the rows kept: context, not labels."""
    num_unlearned: int = 0
    """Left out: turns are taught, and `learned` has none of them."""
    num_unlearned_turns: int = 0
    """Turns of the rows kept that `learned` has not: context, not labels."""

    def notes(self) -> list[str]:
        """What was left out though it was not too long, and why."""
        return notes_of(self.num_errors, self.num_wordless, self.num_untaught, self.num_unlearned)


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

    No row comes of two sides that read the same, of a better side without an action, and of turns
    whose words a log did not keep (`Step.is_worded`). With `render_actions` such a turn is
    `Action: …`, words that nobody said. `PreferenceRows` counts each kind.

    Raises `InvalidInput` for an unknown `completion`, for trajectories without a prompt (of a
    forest that does not know them) and for pairs of several forests that give one node two
    meanings. O(num_pairs) rows are held at a time.
    """
    if completion not in get_args(Completion):
        raise InvalidInput(f"completion is {completion!r}; use 'step' or 'suffix'")
    num_turns = 1 if completion == "step" else None
    sides = Sides(num_turns=num_turns, render_actions=render_actions)
    compared = (compared_steps if completion == "step" else compared_suffixes)(pairs, sides)
    num_undecided = num_alike = num_without_action = num_wordless = 0
    found: dict[Texts, Comparison] = {}
    for comparison in compared:
        if not comparison.is_decided:
            num_undecided += 1
            continue
        if comparison.net_gap < 0:
            comparison.turn()
        shown = comparison.best
        if shown.fit is Fit.WORDLESS:
            num_wordless += 1
        elif shown.chosen.turns == shown.rejected.turns:
            num_alike += 1
        elif not any(map(is_taught, _turns(shown, num_turns))):
            num_without_action += 1
        else:
            texts = shown.texts()
            if (same := found.get(texts)) is not None:
                same.absorb(comparison)
            elif (same := found.get(texts[2:] + texts[:2])) is not None:
                same.absorb(comparison, is_turned=True)
            else:
                found[texts] = comparison
    rows = tuple(_row(c, num_turns) for c in found.values() if c.is_decided)
    return PreferenceRows(
        rows,
        num_undecided=num_undecided + len(found) - len(rows),
        num_alike=num_alike,
        num_without_action=num_without_action,
        num_wordless=num_wordless,
    )


def _turns(shown: Shown, num_turns: int | None) -> Sequence[Step]:
    """Those of the chosen side that a row compares."""
    begin = shown.pair.depth
    end = None if num_turns is None else begin + num_turns
    return shown.chosen.trajectory.steps[begin:end]


def _row(comparison: Comparison, num_turns: int | None) -> PreferenceRow:
    if comparison.net_gap < 0:
        comparison.turn()
    shown = comparison.best
    chosen, rejected = comparison.runs
    begin = shown.pair.depth
    return PreferenceRow(
        shown.chosen.trajectory,
        shown.rejected.trajectory,
        begin,
        None if num_turns is None else begin + num_turns,
        shown.pair.divergence,
        comparison.net_gap / comparison.num_pairs,
        _mean_return(chosen.values()),
        _mean_return(rejected.values()),
        len(chosen),
        len(rejected),
    )


def _mean_return(trajectories: Collection[Trajectory]) -> float:
    if len(trajectories) == 1:
        return next(iter(trajectories)).total_return
    return math.fsum([t.total_return for t in trajectories]) / len(trajectories)


def is_taught(step: Step) -> bool:
    """Whether a model may learn to say this turn: one that holds no action costs a step and gets
    nothing for it, however well the run ended."""
    return bool(step.action)


def tokenize_sft(
    trajectories: Iterable[Trajectory],
    chat: ChatFormat,
    *,
    max_length: int | None,
    all_tokens: bool = False,
    teach_without_action: bool = False,
    render_actions: bool = False,
    learned: Learned | None = None,
) -> TokenizedRows:
    """`input_ids` and `labels` of whole trajectories; labels are agent tokens only.

    Rows of more than `max_length` ids (None: no limit) are left out whole. So are trajectories of
    status "error", as in a forest, and those with a step whose words a log did not keep, unless
    `render_actions` makes it `Action: …`. Turns without an action (`Step.action` is empty) are
    context and no labels, unless `teach_without_action`; a trajectory of nothing else gives no row.
    `all_tokens` labels all, observations too: self-supervised pretraining on transcripts.

    `learned[i][t]` says of trajectory i whether turn t may be learned; the others are context too:

        learned   True      False     True
        turns     a1 a1 o1  a2 a2 o2  a3 a3
        labels    a1 a1  -   -  -  -  a3 a3

    Raises `InvalidInput` for a trajectory without a prompt, and for a `learned` that is not a truth
    value for each turn of each trajectory, or stands beside `all_tokens`.
    """
    if learned is not None and all_tokens:
        raise InvalidInput("all_tokens learns every token, and learned some turns; give one")
    found = TokenizedRows([], [], [])
    fingerprint = chat.fingerprint()
    all_given = list(trajectories)
    check_learned(all_given, learned)
    for i, given in enumerate(all_given):
        if given.status == "error":
            found.num_errors += 1
            continue
        require_prompt(given)
        trajectory = rendered(given) if render_actions else given
        if not all(step.is_worded for step in trajectory.steps):
            found.num_wordless += 1
            continue
        steps = turns_for(trajectory, fingerprint)
        prompt = chat.prompt_ids(trajectory.prompt)
        is_said = [all_tokens or teach_without_action or is_taught(step) for step in steps]
        may_learn = is_said if learned is None else learned[i]
        taught = [said and bool(may) for said, may in zip(is_said, may_learn, strict=True)]
        ids, mask = _taught_ids(chat, steps, taught)
        if all_tokens:
            prompt_labels, mask = prompt, [1] * len(ids)
        else:
            prompt_labels = [IGNORED] * len(prompt)
        labels = [token if keep else IGNORED for token, keep in zip(ids, mask, strict=True)]
        if max_length is not None and len(prompt) + len(ids) > max_length:
            found.too_long.append(given)
        elif not all_tokens and not any(is_said):
            found.num_untaught += 1
        elif not all_tokens and not any(taught):
            found.num_unlearned += 1
        else:
            found.num_untaught_turns += is_said.count(False)
            found.num_unlearned_turns += sum(is_said) - sum(taught)
            found.kept.append(given)
            found.rows.append({"input_ids": prompt + ids, "labels": prompt_labels + labels})
    return found


def tokenize_preferences(
    rows: Iterable[PreferenceRow], chat: ChatFormat, *, max_length: int | None
) -> list[dict[str, Any] | None]:
    """`prompt_ids`, and `chosen_ids`/`rejected_ids` with masks (1 on agent tokens), by row; and a
    row's `confidence` and `weight` where they are not 1.

    prompt │ agent turn │ observation │ agent turn          one history
    0 0 0    1 1 1 1      0 0 0 0 0     1 1 1
    prompt │ rest of the side's own history │ agent turn    merged from several, or of two tasks:
    0 0 0    0 0 0 0 0 0 0 0 0 0 0 0 0 0 0    1 1 1 1       each is scored under what it was told

    A turn without an action is masked on the chosen side. None stands for a row either side of
    which exceeds `max_length` (None: no limit): a cut side would lose the very tokens that differ.

    Raises `InvalidInput` for a trajectory without a prompt.
    """
    fingerprint = chat.fingerprint()
    tokenized: list[dict[str, Any] | None] = []
    for row in rows:
        require_prompt(row.chosen)
        require_prompt(row.rejected)
        chosen, rejected = (turns_for(t, fingerprint) for t in (row.chosen, row.rejected))
        prompt = chat.history_ids(row.chosen.prompt, chosen[: row.begin])
        own: list[list[int]] = [[], []]
        if not row.is_one_history:
            theirs = chat.history_ids(row.rejected.prompt, rejected[: row.begin])
            shared = _num_shared(prompt, theirs)
            prompt, own = prompt[:shared], [prompt[shared:], theirs[shared:]]
        chosen_ids, chosen_mask = taught_ids(chat, chosen[row.begin : row.end])
        rejected_ids, rejected_mask = chat.steps_ids(rejected[row.begin : row.end])
        said = {n: v for n in ("confidence", "weight") if (v := getattr(row, n)) != 1}
        ids: dict[str, Any] = {
            **said,
            "prompt_ids": prompt,
            "chosen_ids": own[0] + chosen_ids,
            "chosen_mask": [0] * len(own[0]) + chosen_mask,
            "rejected_ids": own[1] + rejected_ids,
            "rejected_mask": [0] * len(own[1]) + rejected_mask,
        }
        longest = len(prompt) + max(len(ids["chosen_ids"]), len(ids["rejected_ids"]))
        tokenized.append(ids if max_length is None or longest <= max_length else None)
    return tokenized


def taught_ids(chat: ChatFormat, steps: Sequence[Step]) -> tuple[list[int], list[int]]:
    """`ChatFormat.steps_ids`, the turns that are not taught masked."""
    return _taught_ids(chat, steps, [is_taught(step) for step in steps])


def _taught_ids(
    chat: ChatFormat, steps: Sequence[Step], taught: Sequence[bool]
) -> tuple[list[int], list[int]]:
    ids, mask = chat.steps_ids(steps)
    if all(taught):
        return ids, mask
    begin = 0
    for i, step in enumerate(steps):
        end = begin + len(chat.response_ids(step))
        if not taught[i]:
            mask[begin:end] = [0] * (end - begin)
        if i + 1 < len(steps):
            begin = end + len(chat.answer_ids(step))
    return ids, mask


def _num_shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many ids two sequences begin with alike."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def turns_for(trajectory: Trajectory, fingerprint: str) -> list[Step]:
    """Its turns as the tokenizer of that fingerprint should see them: sampled ids are kept where
    that tokenizer sampled them."""
    if trajectory.origin.tokenizer == fingerprint:
        return list(trajectory.steps)
    return [
        step if step.token_ids is None else replace(step, token_ids=None)
        for step in trajectory.steps
    ]
