"""Training data from the tree: preference rows (Eq. 6) and demonstration rows (L_SFT, L_MCTS).

chosen    u a1 o1 │ a2 o2 a3            step:   only a2 against a2'
rejected  u a1 o1 │ a2' o2' a3' o3'     suffix: everything after │, observations masked
          prompt h│ s+ / s-
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.chat import ChatFormat
from w2stree.turns.react import render_turn

if TYPE_CHECKING:
    import datasets

    from w2stree.forest.pairs import PreferencePair

Completion = Literal["step", "suffix"]
IGNORED = -100
"""The label of a token that is not trained on (PyTorch's cross-entropy default)."""

_ROUNDING = 1e-9  # what summing a few gaps may be off; no real gap is this small


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """What DPO sees of a pair: shared history, then two continuations.

    Turns [begin, end) of each side are compared; `end` None means up to the last. The history,
    turns [0, begin), is the chosen side's; the two sides share it, so `begin` is its depth.
    """

    chosen: Trajectory
    rejected: Trajectory
    begin: int
    end: int | None
    divergence: int
    """Node of the forest after the history."""
    gap: float
    """How much better the chosen side did, in return; see `preference_rows`. > 0."""

    @property
    def task_id(self) -> str:
        return self.chosen.task_id

    @property
    def history(self) -> tuple[Step, ...]:
        return self.chosen.steps[: self.begin]

    def turns(self, side: Trajectory) -> tuple[Step, ...]:
        """The compared turns of `chosen` or `rejected`."""
        return side.steps[self.begin : self.end]


@dataclass(frozen=True, slots=True)
class TokenizedRows:
    """Rows ready for a trainer, and the trajectories left out because they exceed the length."""

    rows: list[dict[str, list[int]]]
    too_long: list[Trajectory]


def preference_rows(pairs: Iterable[PreferencePair], completion: Completion) -> list[PreferenceRow]:
    """One row for each distinct text pair, in the order of the pairs.

    `suffix` keeps every pair whose texts differ from all before. `step` compares two actions
    at a divergence, so all pairs with these two actions speak about one row: their gaps are
    summed and the sign decides (without a `min_gap`, that is the order of the two actions'
    mean returns); a sum of zero (within 1e-9) says nothing and gives no row.

    A row's `gap`, > 0, is in units of return. With `suffix` it is its pair's; with `step` the mean
    over the pairs of its two actions, those that prefer the other action counted negative. Rows
    with equal texts, from tasks that read alike, become one: at the first one's place, with the
    last one's task, divergence and gap.

    Raises `InvalidInput` for an unknown `completion`. O(num_pairs) rows are held at a time.
    """
    if completion == "suffix":
        rows = [
            PreferenceRow(p.chosen, p.rejected, p.depth, None, p.divergence, p.gap) for p in pairs
        ]
    elif completion == "step":
        rows = _net_step_rows(pairs)
    else:
        raise InvalidInput(f"completion is {completion!r}; use 'step' or 'suffix'")
    return list({_texts(row): row for row in rows}.values())


def _net_step_rows(pairs: Iterable[PreferencePair]) -> list[PreferenceRow]:
    net_gap: dict[tuple[int, str, str], float] = {}
    num_pairs: dict[tuple[int, str, str], int] = {}
    first: dict[tuple[int, str, str], PreferencePair] = {}
    for pair in pairs:
        better, worse = (t.steps[pair.depth].action for t in (pair.chosen, pair.rejected))
        forward, backward = (pair.divergence, better, worse), (pair.divergence, worse, better)
        first.setdefault(forward, pair)
        for key, gap in ((forward, pair.gap), (backward, -pair.gap)):
            net_gap[key] = net_gap.get(key, 0.0) + gap
            num_pairs[key] = num_pairs.get(key, 0) + 1
    return [
        PreferenceRow(
            pair.chosen,
            pair.rejected,
            pair.depth,
            pair.depth + 1,
            pair.divergence,
            net_gap[key] / num_pairs[key],
        )
        for key, pair in first.items()
        if net_gap[key] > _ROUNDING
    ]


def preference_dataset(
    pairs: Iterable[PreferencePair], completion: Completion = "suffix"
) -> datasets.Dataset:
    """Rows for TRL in its conversational format: prompt, chosen, rejected as chat messages.

    Beside them stand `task_id`, `divergence` (the forest's node), `depth` (turns shared) and `gap`
    (`preference_rows`), to filter rows by and to trace them back; TRL leaves them alone.

    With `suffix`, stock `DPOTrainer` also scores the observations inside the continuations;
    use `w2stree.training.trainers.train_dpo`, which masks them, or `completion="step"`.
    Needs the `train` extra.
    """
    library = _datasets()
    rows = preference_rows(pairs, completion)
    if not rows:
        raise InvalidInput("no preference rows: no pair has differing returns; lower min_gap")
    return library.Dataset.from_list(
        [
            {
                "prompt": _dicts([*row.chosen.prompt, *_messages(row.history)]),
                "chosen": _dicts(_messages(row.turns(row.chosen))[:-1]),
                "rejected": _dicts(_messages(row.turns(row.rejected))[:-1]),
                "task_id": row.task_id,
                "divergence": row.divergence,
                "depth": row.begin,
                "gap": row.gap,
            }
            for row in rows
        ]
    )


def sft_dataset(trajectories: Iterable[Trajectory]) -> datasets.Dataset:
    """Rows for TRL in its conversational format: one `messages` list a trajectory.

    Stock `SFTTrainer` trains on the observations too unless its `assistant_only_loss` works
    for the chat template; `w2stree.training.trainers.train_sft` masks them. Needs the `train`
    extra.
    """
    library = _datasets()
    rows = [{"messages": _dicts([*t.prompt, *_messages(t.steps)[:-1]])} for t in trajectories]
    if not rows:
        raise InvalidInput("no trajectories to make a dataset of")
    return library.Dataset.from_list(rows)


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
    rows, too_long = [], []
    fingerprint = chat.fingerprint()
    for trajectory in trajectories:
        prompt = chat.prompt_ids(trajectory.prompt)
        ids, mask = chat.steps_ids(_turns_for(trajectory, fingerprint))
        if all_tokens:
            prompt_labels, mask = prompt, [1] * len(ids)
        else:
            prompt_labels = [IGNORED] * len(prompt)
        labels = [token if keep else IGNORED for token, keep in zip(ids, mask, strict=True)]
        if len(prompt) + len(ids) > max_length:
            too_long.append(trajectory)
        else:
            rows.append({"input_ids": prompt + ids, "labels": prompt_labels + labels})
    return TokenizedRows(rows, too_long)


def tokenize_preferences(
    rows: Sequence[PreferenceRow], chat: ChatFormat, *, max_length: int
) -> list[dict[str, list[int]] | None]:
    """`prompt_ids`, and `chosen_ids`/`rejected_ids` with masks (1 on agent tokens), by row.

    None stands for a row either side of which exceeds `max_length`: a cut side would lose the
    very tokens that differ.
    """
    fingerprint = chat.fingerprint()
    tokenized: list[dict[str, list[int]] | None] = []
    for row in rows:
        chosen, rejected = (_turns_for(t, fingerprint) for t in (row.chosen, row.rejected))
        prompt = chat.history_ids(row.chosen.prompt, chosen[: row.begin])
        chosen_ids, chosen_mask = chat.steps_ids(chosen[row.begin : row.end])
        rejected_ids, rejected_mask = chat.steps_ids(rejected[row.begin : row.end])
        fits = len(prompt) + max(len(chosen_ids), len(rejected_ids)) <= max_length
        ids = {
            "prompt_ids": prompt,
            "chosen_ids": chosen_ids,
            "chosen_mask": chosen_mask,
            "rejected_ids": rejected_ids,
            "rejected_mask": rejected_mask,
        }
        tokenized.append(ids if fits else None)
    return tokenized


def _turns_for(trajectory: Trajectory, fingerprint: str) -> list[Step]:
    """Its turns as the tokenizer of that fingerprint should see them.

    Sampled ids are kept where that tokenizer sampled them; a log that kept only the parsed
    action gets a rendered turn.
    """
    is_own = trajectory.origin.tokenizer == fingerprint
    return [
        Step(
            step.action,
            step.observation,
            step.response or render_turn("", step.action),
            step.token_ids if is_own else None,
        )
        for step in trajectory.steps
    ]


def _texts(row: PreferenceRow) -> tuple[object, ...]:
    sides = (row.history, row.turns(row.chosen), row.turns(row.rejected))
    return (
        row.chosen.prompt,
        *(tuple((s.response or s.action, s.observation) for s in side) for side in sides),
    )


def _messages(steps: Sequence[Step]) -> list[Message]:
    messages = []
    for step in steps:
        response = step.response or render_turn("", step.action)
        messages += [Message("assistant", response), Message("user", step.observation)]
    return messages


def _dicts(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [asdict(message) for message in messages]


def _datasets() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"rows for TRL need {error.name}: pip install 'w2stree[train]'"
        ) from None
    return datasets
