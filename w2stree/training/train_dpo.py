"""`w2stree.train_dpo`: from preference pairs to a folder with a trained model, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from trl import DPOConfig

from w2stree.errors import InvalidInput, RowsTooLong, RowWarning
from w2stree.forest.pairs import PreferencePair, PreferencePairs
from w2stree.rows.conversations import preference_row
from w2stree.rows.rows import (
    UNLEARNED,
    WORDLESS,
    Completion,
    PreferenceRow,
    PreferenceRows,
    preference_rows,
)
from w2stree.rows.tokenized import tokenize_preferences
from w2stree.training.call import Learning, TrainedModel, check_before_rows
from w2stree.training.call_settings import call_args
from w2stree.training.measuring import pair_figures, sums
from w2stree.training.model_folder import refuse_filled
from w2stree.training.optimisation import Lora
from w2stree.training.stage import Progress, warn_of_displacement
from w2stree.training.start import ModelGiven, Start, opened
from w2stree.training.trees.probe import is_refused_by_trees
from w2stree.training.trees.rows import numbered, preference_examples
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    from peft import PeftConfig

T = TypeVar("T", covariant=True)


class Rows(Protocol[T]):
    """A list, or a `datasets.Dataset`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> T: ...


def train_dpo(
    pairs: Iterable[PreferencePair] | Iterable[PreferenceRow] | Rows[Mapping[str, Any]],
    *,
    policy: ModelGiven,
    reference: ModelGiven | Literal["start"] | None = "start",
    output_dir: str | Path,
    completion: Completion = "step",
    render_actions: bool = False,
    args: DPOConfig | Mapping[str, Any] | None = None,
    peft_config: PeftConfig | Lora | None = None,
    max_length: int | None = None,
    holdout: float = 0.1,
    seed: int | None = None,
    unshared: bool = False,
    chat_template: str | Path | None = None,
    reference_cache: str | Path | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train `policy` to prefer what did better, against `reference`, and write it to `output_dir`.

    `pairs` are a forest's (`forest.pairs(min_gap=0.1)`), rows of `preference_rows`, or rows of
    TRL's conversational form (`prompt`, `chosen`, `rejected`), a `datasets.Dataset` or a list.
    `completion` and `render_actions` make rows of pairs (`preference_rows`); of rows they are not
    asked. Only the agent's turns are scored, in every form.

    `policy` is a model's directory or an open (model, tokenizer), which is then the one trained.
    `reference`: likewise, of any tokenizer; "start", the policy before training; or None, no
    reference. `args` are arguments of TRL's `DPOConfig` by name, over its defaults (3 epochs, a
    rate of 1e-6, 8 rows a step, beta 0.1) and ours (`call_settings.settings`: precision as the
    device needs it, a line of the loss curve a step), or a `DPOConfig`, which is taken as it is.
    Each argument holds or is refused by name. `seed` and `max_length` (tokens of a row, in either
    model's) count before those of `args`; without any, as much as the models have positions for.
    Longer rows are left out whole. `peft_config`: PEFT's, or a `Lora`; adapters are merged,
    unless `Lora.merge` is false. `unshared`: train every row by itself, with TRL's stock trainer,
    not on trees. `chat_template`, a name or a file, replaces the one in the directory of `policy`,
    and is saved with the model.

    On trees the reference's scores are kept in the folder `reference_cache`, if one is given: with
    another `beta`, or going on, the same reference is not asked again.

    `holdout` is the share of the tasks, rounded down, that are not trained on; pairs of these are
    measured before and after (`held_out_pair_accuracy_before`, …). Rows with equal prompts are of
    one task.

    An interrupted call leaves its checkpoints beside `output_dir` (as `args` saves them), and the
    same call goes on from the last one; otherwise the folder is there whole or not at all. Under
    `accelerate launch` all processes call alike and the first one writes.

    Warns `RowWarning` and `RowsTooLong` of what is left out and why, and `LikelihoodDisplaced`.
    Raises `InvalidInput` where nothing is left, with each reason and how many; where `output_dir`
    holds something; for models and arguments that cannot be trained with; `ModelFailure` where the
    loss is no number.
    """
    path = Path(output_dir)
    refuse_filled(path)
    config = call_args(DPOConfig, args, seed=seed)
    rows, counts = _rows_of(pairs, completion, render_actions=render_actions)
    start = opened(policy, argument="policy", chat_template=chat_template)
    other = None if reference in ("start", None) else opened(reference, argument="reference")
    unshared = unshared or is_refused_by_trees(start.model)
    check_before_rows(config, holdout, unshared=unshared)
    limit = start.max_length(max_length, config.max_length)
    if holdout:
        _refuse_two_tasks(rows)
    kept, tokens, theirs = _tokenized(rows, start, other, limit, counts)
    tasks = [row.chosen.prompt for row in kept]
    trees = numbered(tasks)
    scored = preference_examples(theirs if other else tokens, trees)
    if reference is not None:
        scorer = (other or start).model
        sequences = [s for e in scored for s in e.sequences]
        longest = max(len(s.ids) for s in sequences)
        apart = unshared if other is None else is_refused_by_trees(scorer, longest)
        lora = peft_config is not None
        cache = None if reference_cache is None else Path(reference_cache)
        found = sums(scorer, sequences, lora=lora, unshared=apart, cache=cache).reshape(-1, 2)
        for row, (chosen, rejected) in zip(tokens, found.tolist(), strict=True):
            row |= {"ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
    is_start = reference is not None and other is None
    name = "start" if is_start else "none" if other is None else other.name
    del other, scored  # the reference leaves the memory before the training
    trained = Learning(
        method="DPO",
        start=start,
        reference=name or "an open model",
        is_own_reference=is_start,
        rows=tokens,
        examples=preference_examples(tokens, trees),
        tasks=tasks,
        counts=counts,
        holdout=holdout,
        args=config,
        peft_config=peft_config,
        max_length=limit,
        unshared=unshared,
        measure=pair_figures,
        progress=progress,
    ).run(path)
    _warn_of_displacement(trained.metrics)
    return trained


def _rows_of(
    pairs: Any, completion: Completion, *, render_actions: bool
) -> tuple[list[PreferenceRow], dict[str, int]]:
    """The rows, and how many comparisons gave none, by reason."""
    if isinstance(pairs, PreferencePairs) and not len(pairs):
        raise InvalidInput(f"no pairs to train on: {_why_no_pairs(pairs)}")
    if not isinstance(pairs, PreferenceRows):
        given = iter(pairs)
        first = next(given, None)
        if first is None:
            raise InvalidInput("no pairs to train on: none are given")
        given = chain([first], given)
        if isinstance(first, Mapping):
            return [preference_row(r, f"rows[{i}]") for i, r in enumerate(given)], {}
        if isinstance(first, PreferenceRow):
            return list(given), {}
        if not isinstance(first, PreferencePair):
            raise InvalidInput(
                f"pairs holds {type(first).__name__}; give a forest's pairs, preference_rows, or "
                "rows with prompt, chosen and rejected"
            )
        pairs = preference_rows(given, completion, render_actions=render_actions)
    reasons = {
        "sums of gaps that cancel": pairs.num_undecided,
        "two sides that read alike": pairs.num_alike,
        "a better side without an action": pairs.num_without_action,
        "actions without words": pairs.num_wordless,
        f"turns {UNLEARNED}": pairs.num_unlearned,
    }
    counts = {f"left out: {why}": count for why, count in reasons.items() if count}
    if not len(pairs):
        told = ", ".join(f"{count} for {why}" for why, count in reasons.items() if count)
        remedy = f": {WORDLESS}" if pairs.num_wordless else ""
        raise InvalidInput(
            f"no preference rows to train on: all comparisons give none ({told}){remedy}"
        )
    if pairs.num_wordless:
        warnings.warn(
            f"{pairs.num_wordless} comparisons are left out: {WORDLESS}", RowWarning, stacklevel=3
        )
    return list(pairs), counts


def _refuse_two_tasks(rows: Sequence[PreferenceRow]) -> None:
    for i, row in enumerate(rows):
        if row.chosen.task_id != row.rejected.task_id:
            raise InvalidInput(
                f"rows[{i}] compares runs of two tasks, {row.chosen.task_id!r} and "
                f"{row.rejected.task_id!r}, so no task can be held out of it: give holdout=0"
            )


def _why_no_pairs(pairs: PreferencePairs) -> str:
    """The cause, found by asking the forest for all of its pairs."""
    num_all = len(pairs.forest.pairs())
    if num_all:
        return (
            f"the forest has {num_all} pairs at min_gap=0, and none of them is here: lower min_gap "
            "or success_threshold"
        )
    return (
        "in no task do two runs part and differ in return: pairs need several runs of a task, "
        "with other actions and other returns"
    )


def _tokenized(
    rows: Sequence[PreferenceRow],
    start: Start,
    other: Start | None,
    limit: int,
    counts: dict[str, int],
) -> tuple[list[PreferenceRow], list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows kept, in the policy's ids and in the reference's; what is left out is counted."""
    ours = _tokens(rows, start)
    theirs = _tokens(rows, other) if other else ours
    theirs_limit = min(limit, other.max_length(None, None)) if other else limit
    long = [_length(row) > limit for row in ours]
    long_to_other = [_length(row) > theirs_limit for row in theirs]
    too_long = [a or b for a, b in zip(long, long_to_other, strict=True)]
    reasons = []
    if any(long):
        longest = max(map(_length, ours))
        reasons.append(
            f"{sum(long)} exceed max_length ({limit} tokens; the longest has {longest}): "
            f"{start.longer(limit)}"
        )
    if other and any(long_to_other):
        longest = max(map(_length, theirs))
        reasons.append(
            f"{sum(long_to_other)} exceed what the reference reads of them ({theirs_limit} of its "
            f"tokens; the longest has {longest}): {other.longer(theirs_limit)}"
        )
    _tell_of_length(too_long, reasons)
    taught = [any(row["chosen_mask"]) and any(row["rejected_mask"]) for row in ours]
    kept = [i for i in range(len(rows)) if taught[i] and not too_long[i]]
    num_untaught = sum(not t and not long for t, long in zip(taught, too_long, strict=True))
    if sum(too_long):
        counts["left out: longer than max_length"] = sum(too_long)
    if num_untaught:
        counts["left out: no turn to learn from"] = num_untaught
        told = f"{num_untaught} of {len(rows)} rows are left out: a side has no turn with an action"
        if not kept:
            raise InvalidInput(f"no preference rows to train on: {told}")
        warnings.warn(told, RowWarning, stacklevel=4)
    return [rows[i] for i in kept], [ours[i] for i in kept], [theirs[i] for i in kept]


def _tokens(rows: Sequence[PreferenceRow], model: Start) -> list[dict[str, Any]]:
    chat = ChatFormat(model.tokenizer)
    found = tokenize_preferences(rows, chat, max_length=None)
    return [row for row in found if row is not None]


def _length(row: Mapping[str, Sequence[int]]) -> int:
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


def _tell_of_length(too_long: Sequence[bool], reasons: Sequence[str]) -> None:
    if not reasons:
        return
    which = f"{sum(too_long)} of {len(too_long)} preference rows are too long: {'; '.join(reasons)}"
    if all(too_long):
        raise InvalidInput(f"no preference rows to train on: {which}")
    warnings.warn(f"{which}; they are left out", RowsTooLong, stacklevel=5)


def _warn_of_displacement(metrics: Mapping[str, float]) -> None:
    """Of held-out rows, or where none are of those trained on."""
    rows = "held_out" if "held_out_chosen_logprob_before" in metrics else "trained"
    warn_of_displacement(
        *(metrics.get(f"{rows}_chosen_logprob_{when}") for when in ("before", "after")),
        rows=f" of {rows.replace('_', ' ')} rows",
        term="loss_type: [sigmoid, sft]",
    )
