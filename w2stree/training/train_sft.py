"""`w2stree.train_sft`: from runs to a folder with a trained model, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trl import SFTConfig

from w2stree.errors import InvalidInput, RowsTooLong, RowWarning
from w2stree.rows.conversations import conversation
from w2stree.rows.learned import Learned
from w2stree.rows.token_rows import token_row
from w2stree.rows.tokenized import tokenize_sft
from w2stree.training.call import Learning, TrainedModel, check_before_rows
from w2stree.training.call_settings import call_args
from w2stree.training.measuring import sft_figures
from w2stree.training.model_folder import refuse_filled
from w2stree.training.optimisation import Lora
from w2stree.training.stage import Progress
from w2stree.training.start import ModelGiven, Start, opened
from w2stree.training.train_dpo import Rows
from w2stree.training.trees.probe import is_refused_by_trees
from w2stree.training.trees.rows import numbered, sft_examples
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

if TYPE_CHECKING:
    from peft import PeftConfig


def train_sft(
    paths: Iterable[Trajectory] | Rows[Mapping[str, Any]],
    *,
    model: ModelGiven,
    output_dir: str | Path,
    teach_without_action: bool = False,
    render_actions: bool = False,
    learned: Learned | None = None,
    args: SFTConfig | Mapping[str, Any] | None = None,
    peft_config: PeftConfig | Lora | None = None,
    max_length: int | None = None,
    holdout: float = 0.1,
    seed: int | None = None,
    unshared: bool = False,
    chat_template: str | Path | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train `model` to imitate the agent's turns in `paths`, and write it to `output_dir`.

    `paths` are trajectories (`forest.search().best_trajectories()`, `read_trajectories(…)`), or
    rows, a `datasets.Dataset` or a list: of chat `messages`, whose assistant turns are all taught,
    or of `input_ids` and `labels`, of this model's tokenizer. All are imitated, failures too:
    choose before. `teach_without_action` and `render_actions` as in `tokenize_sft`; so is
    `learned`, of trajectories alone: which turns of each are learned.

    `args` are of TRL's `SFTConfig` (3 epochs, a rate of 2e-5, 8 rows a step); all else as in
    `train_dpo`. Of the tasks held out the loss is measured before and after
    (`held_out_loss_before`, …).
    """
    path = Path(output_dir)
    refuse_filled(path)
    config = call_args(SFTConfig, args, seed=seed)
    start = opened(model, argument="model", chat_template=chat_template)
    unshared = unshared or is_refused_by_trees(start.model)
    check_before_rows(config, holdout, unshared=unshared)
    limit = start.max_length(max_length, config.max_length)
    found = _rows_of(
        paths,
        start,
        teach_without_action=teach_without_action,
        render_actions=render_actions,
        learned=learned,
    )
    found.leave_out_long(limit, start.longer(limit))
    trees = numbered(found.tasks)
    return Learning(
        method="SFT",
        start=start,
        reference=None,
        is_own_reference=False,
        rows=found.rows,
        examples=sft_examples(found.rows, trees),
        tasks=found.tasks,
        counts=found.counts,
        holdout=holdout,
        args=config,
        peft_config=peft_config,
        max_length=limit,
        unshared=unshared,
        measure=sft_figures,
        progress=progress,
    ).run(path)


@dataclass(slots=True)
class _Found:
    """Rows in the model's ids, what each asks, and how many were left out, by reason."""

    rows: list[dict[str, list[int]]]
    tasks: list[Hashable]
    counts: dict[str, int] = field(default_factory=dict)

    def leave_out_long(self, limit: int, remedy: str) -> None:
        """Raises `InvalidInput` where all are longer, warns where some are; with the remedy."""
        lengths = [len(row["input_ids"]) for row in self.rows]
        kept = [i for i, length in enumerate(lengths) if length <= limit]
        num_long = len(lengths) - len(kept)
        if not num_long:
            return
        told = f"exceed max_length ({limit} tokens); the longest has {max(lengths)}"
        if not kept:
            raise InvalidInput(f"no rows to train on: all {num_long} {told}: {remedy}")
        self.counts["left out: longer than max_length"] = num_long
        warnings.warn(
            f"{num_long} of {len(lengths)} rows {told}; they are left out: {remedy}",
            RowsTooLong,
            stacklevel=3,
        )
        self.rows = [self.rows[i] for i in kept]
        self.tasks = [self.tasks[i] for i in kept]


def _rows_of(
    paths: Any,
    start: Start,
    *,
    teach_without_action: bool,
    render_actions: bool,
    learned: Learned | None,
) -> _Found:
    given = iter(paths)
    first = next(given, None)
    if first is None:
        raise InvalidInput("no rows to train on: none are given")
    given = chain([first], given)
    if learned is not None and not isinstance(first, Trajectory):
        raise InvalidInput("learned is of trajectories; rows say it by their labels")
    if isinstance(first, Mapping) and "input_ids" in first:
        return _token_rows(list(given), len(start.tokenizer))
    if isinstance(first, Mapping):
        given = [conversation(r, f"rows[{i}]") for i, r in enumerate(given)]
    elif not isinstance(first, Trajectory):
        raise InvalidInput(
            f"paths holds {type(first).__name__}; give trajectories, or rows with messages, or "
            "with input_ids and labels"
        )
    return _trajectory_rows(
        list(given),
        start,
        teach_without_action=teach_without_action,
        render_actions=render_actions,
        learned=learned,
    )


def _trajectory_rows(
    given: Sequence[Trajectory],
    start: Start,
    *,
    teach_without_action: bool,
    render_actions: bool,
    learned: Learned | None,
) -> _Found:
    found = tokenize_sft(
        given,
        ChatFormat(start.tokenizer),
        max_length=None,
        teach_without_action=teach_without_action,
        render_actions=render_actions,
        learned=learned,
    )
    notes = found.notes()
    if not found.rows:
        raise InvalidInput(f"no rows to train on: {'; '.join(notes)}")
    for note in notes:
        warnings.warn(note, RowWarning, stacklevel=4)
    reasons = {
        "left out: ended in an error": found.num_errors,
        "left out: actions without words": found.num_wordless,
        "left out: no turn with an action": found.num_untaught,
        "turns without an action, not taught": found.num_untaught_turns,
        "left out: no turn to be learned": found.num_unlearned,
        "turns not learned": found.num_unlearned_turns,
    }
    counts = {why: count for why, count in reasons.items() if count}
    return _Found(found.rows, [t.prompt for t in found.kept], counts)


def _token_rows(given: Sequence[Mapping[str, Any]], vocabulary: int) -> _Found:
    rows: list[dict[str, list[int]]] = []
    tasks: list[Hashable] = []
    for i, record in enumerate(given):
        row = token_row(record, f"rows[{i}]", vocabulary=vocabulary)
        rows.append({"input_ids": row.input_ids, "labels": row.labels})
        tasks.append(tuple(row.input_ids[: row.first_label]))
    return _Found(rows, tasks)
