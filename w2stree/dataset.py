"""Training data from the tree: preference rows (Eq. 6) and demonstration rows (L_SFT, L_MCTS).

chosen    u a1 o1 │ a2 o2 a3            step:   only a2 against a2'
rejected  u a1 o1 │ a2' o2' a3' o3'     suffix: everything after │, observations masked
          prompt h│ s+ / s-
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from w2stree.chat import ChatFormat
from w2stree.errors import InvalidInput
from w2stree.react import render_turn
from w2stree.trajectory import Message, Step, Trajectory

if TYPE_CHECKING:
    import datasets

    from w2stree.pairs import PreferencePair

Completion = Literal["step", "suffix"]
IGNORED = -100
"""The label of a token that is not trained on (PyTorch's cross-entropy default)."""


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """What DPO sees of a pair: shared history, then two continuations."""

    prompt: tuple[Message, ...]
    history: tuple[Step, ...]
    chosen: tuple[Step, ...]
    rejected: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class TokenizedRows:
    """Rows ready for a trainer, and how many were left out because they exceed the length."""

    rows: list[dict[str, list[int]]]
    num_too_long: int


def preference_rows(pairs: Iterable[PreferencePair], completion: Completion) -> list[PreferenceRow]:
    """One row for each distinct text pair, in the order of the pairs.

    `suffix` keeps every pair whose texts differ from all before. `step` compares two actions
    at a divergence, so all pairs with these two actions speak about one row: their gaps are
    summed and the sign decides (that is the order of the two actions' mean returns); a sum
    of zero says nothing and gives no row. The history is the chosen side's.
    """
    if completion == "suffix":
        rows = (_row(pair, None) for pair in pairs)
        return list({_texts(row): row for row in rows}.values())
    if completion != "step":
        raise InvalidInput(f"completion is {completion!r}; use 'step' or 'suffix'")
    return _net_step_rows(pairs)


def _net_step_rows(pairs: Iterable[PreferencePair]) -> list[PreferenceRow]:
    net_gap: dict[tuple[int, str, str], float] = {}
    first: dict[tuple[int, str, str], PreferencePair] = {}
    for pair in pairs:
        better, worse = (t.steps[pair.depth].action for t in (pair.chosen, pair.rejected))
        forward, backward = (pair.divergence, better, worse), (pair.divergence, worse, better)
        first.setdefault(forward, pair)
        net_gap[forward] = net_gap.get(forward, 0.0) + pair.gap
        net_gap[backward] = net_gap.get(backward, 0.0) - pair.gap
    return [_row(pair, 1) for key, pair in first.items() if net_gap[key] > 0]


def preference_dataset(
    pairs: Iterable[PreferencePair], completion: Completion = "suffix"
) -> datasets.Dataset:
    """Rows for TRL in its conversational format: prompt, chosen, rejected as chat messages.

    With `suffix`, stock `DPOTrainer` also scores the observations inside the continuations;
    use `w2stree.training.train_dpo`, which masks them, or `completion="step"`.
    Needs the `train` extra.
    """
    import datasets

    rows = preference_rows(pairs, completion)
    if not rows:
        raise InvalidInput("no preference rows: no pair has differing returns; lower min_gap")
    return datasets.Dataset.from_list(
        [
            {
                "prompt": _dicts([*row.prompt, *_messages(row.history)]),
                "chosen": _dicts(_messages(row.chosen)[:-1]),
                "rejected": _dicts(_messages(row.rejected)[:-1]),
            }
            for row in rows
        ]
    )


def sft_dataset(trajectories: Iterable[Trajectory]) -> datasets.Dataset:
    """Rows for TRL in its conversational format: one `messages` list a trajectory.

    Stock `SFTTrainer` trains on the observations too unless its `assistant_only_loss` works
    for the chat template; `w2stree.training.train_sft` masks them. Needs the `train` extra.
    """
    import datasets

    rows = [{"messages": _dicts([*t.prompt, *_messages(t.steps)[:-1]])} for t in trajectories]
    if not rows:
        raise InvalidInput("no trajectories to make a dataset of")
    return datasets.Dataset.from_list(rows)


def tokenize_sft(
    trajectories: Iterable[Trajectory],
    chat: ChatFormat,
    *,
    max_length: int,
    all_tokens: bool = False,
) -> TokenizedRows:
    """`input_ids` and `labels` of whole trajectories; labels are agent tokens only.

    `all_tokens` labels observations too: self-supervised pretraining on transcripts.
    """
    rows, num_too_long = [], 0
    for trajectory in map(with_responses, trajectories):
        prompt = chat.prompt_ids(trajectory.prompt)
        ids, mask = chat.steps_ids(trajectory.steps)
        if all_tokens:
            prompt_labels, mask = prompt, [1] * len(ids)
        else:
            prompt_labels = [IGNORED] * len(prompt)
        labels = [token if keep else IGNORED for token, keep in zip(ids, mask, strict=True)]
        if len(prompt) + len(ids) > max_length:
            num_too_long += 1
        else:
            rows.append({"input_ids": prompt + ids, "labels": prompt_labels + labels})
    return TokenizedRows(rows, num_too_long)


def tokenize_preferences(
    rows: Sequence[PreferenceRow], chat: ChatFormat, *, max_length: int
) -> TokenizedRows:
    """`prompt_ids`, and `chosen_ids`/`rejected_ids` with masks (1 on agent tokens).

    A row either side of which exceeds `max_length` is left out whole: a cut side would lose
    the very tokens that differ.
    """
    tokenized, num_too_long = [], 0
    for row in rows:
        prompt = chat.history_ids(row.prompt, row.history)
        chosen_ids, chosen_mask = chat.steps_ids(row.chosen)
        rejected_ids, rejected_mask = chat.steps_ids(row.rejected)
        if len(prompt) + max(len(chosen_ids), len(rejected_ids)) > max_length:
            num_too_long += 1
            continue
        tokenized.append(
            {
                "prompt_ids": prompt,
                "chosen_ids": chosen_ids,
                "chosen_mask": chosen_mask,
                "rejected_ids": rejected_ids,
                "rejected_mask": rejected_mask,
            }
        )
    return TokenizedRows(tokenized, num_too_long)


def with_responses(trajectory: Trajectory) -> Trajectory:
    """The trajectory with a rendered turn wherever a log kept only the parsed action."""
    steps = tuple(
        step if step.response else Step(step.action, step.observation, render_turn("", step.action))
        for step in trajectory.steps
    )
    return Trajectory(
        trajectory.task_id,
        trajectory.prompt,
        steps,
        trajectory.total_return,
        trajectory.status,
        trajectory.info,
    )


def _row(pair: PreferencePair, num_steps: int | None) -> PreferenceRow:
    chosen, rejected = with_responses(pair.chosen), with_responses(pair.rejected)
    end = None if num_steps is None else pair.depth + num_steps
    return PreferenceRow(
        prompt=chosen.prompt,
        history=chosen.steps[: pair.depth],
        chosen=chosen.steps[pair.depth : end],
        rejected=rejected.steps[pair.depth : end],
    )


def _texts(row: PreferenceRow) -> tuple[object, ...]:
    return (row.prompt, *(_turns(steps) for steps in (row.history, row.chosen, row.rejected)))


def _turns(steps: Sequence[Step]) -> tuple[tuple[str, str], ...]:
    return tuple((step.response, step.observation) for step in steps)


def _messages(steps: Sequence[Step]) -> list[Message]:
    messages = []
    for step in steps:
        response = step.response or render_turn("", step.action)
        messages += [Message("assistant", response), Message("user", step.observation)]
    return messages


def _dicts(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [asdict(message) for message in messages]
