"""Rows as token ids: what a model reads, and which of its tokens are learned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from w2stree.errors import InvalidInput
from w2stree.rows.learned import Learned, check_learned
from w2stree.rows.rows import PreferenceRow, is_taught, notes_of
from w2stree.rows.worded import rendered, require_prompt
from w2stree.trajectories.answers import with_answers
from w2stree.trajectories.trajectory import Step, Trajectory
from w2stree.turns.chat import ChatFormat

IGNORED = -100
"""The label of a token that is not trained on (PyTorch's cross-entropy default)."""


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

    Raises `InvalidInput` for a trajectory without a prompt, a `confidence` outside [0, 1], and a
    `weight` that is not finite and >= 0.
    """
    fingerprint = chat.fingerprint()
    tokenized: list[dict[str, Any] | None] = []
    for i, row in enumerate(rows):
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
        ids: dict[str, Any] = {
            **_how_sure(f"rows[{i}]", row),
            "prompt_ids": prompt,
            "chosen_ids": own[0] + chosen_ids,
            "chosen_mask": [0] * len(own[0]) + chosen_mask,
            "rejected_ids": own[1] + rejected_ids,
            "rejected_mask": [0] * len(own[1]) + rejected_mask,
        }
        longest = len(prompt) + max(len(ids["chosen_ids"]), len(ids["rejected_ids"]))
        tokenized.append(ids if max_length is None or longest <= max_length else None)
    return tokenized


def _how_sure(where: str, row: PreferenceRow) -> dict[str, float]:
    """Its `confidence` and `weight` where they are not 1."""
    if not isinstance(row.confidence, Real) or not 0 <= row.confidence <= 1:
        raise InvalidInput(f"{where}: confidence is {row.confidence!r}; give a number from 0 to 1")
    if not isinstance(row.weight, Real) or not 0 <= row.weight < math.inf:
        raise InvalidInput(f"{where}: weight is {row.weight!r}; give a finite number, 0 at least")
    return {n: v for n in ("confidence", "weight") if (v := getattr(row, n)) != 1}


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
    that tokenizer sampled them. Each knows the messages of its observation."""
    steps = with_answers(trajectory)
    if trajectory.origin.tokenizer == fingerprint:
        return list(steps)
    return [step if step.token_ids is None else replace(step, token_ids=None) for step in steps]
