"""Fitting a model to trajectories or preferences: from what was played to trained weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from w2stree.errors import InvalidInput, RowsTooLong, RowWarning
from w2stree.rows.learned import Learned
from w2stree.rows.rows import PreferenceRow
from w2stree.rows.tokenized import tokenize_preferences, tokenize_sft
from w2stree.training.launched.command import train_launched
from w2stree.training.launcher import Launch, refuse_several_processes
from w2stree.training.models import best_device
from w2stree.training.optimisation import Optimisation
from w2stree.training.stage import Progress
from w2stree.training.trackers import SILENT, Reporting
from w2stree.training.trees import stage as trees
from w2stree.training.trees.examples import Example
from w2stree.training.trees.probe import is_refused_by_trees
from w2stree.training.trees.reference import reference_scores
from w2stree.training.trees.rows import numbered, preference_examples, sft_examples
from w2stree.training.trees.trainer import MAX_PACK_TOKENS
from w2stree.training.unshared.dpo import train_dpo
from w2stree.training.unshared.scoring import sequence_logprobs
from w2stree.training.unshared.sft import train_sft
from w2stree.trajectories.returns import at_least
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

Model = tuple[Any, Any]
"""A causal LM and its tokenizer."""

ModelSource = Callable[[], Model]
"""Opens a model. The model takes memory from the call until it is dropped: call it late."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model, the figures of its training, and what was logged of each step."""

    model: Any
    tokenizer: Any
    metrics: dict[str, float]
    steps: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The part of training that is the same for every method: how long a row may be, the seed, the
    folder the trainer may write to, and who is told of each step.

    Rows that exceed `max_length` tokens are left out whole, with a warning (`RowsTooLong`), and
    counted: `num_too_long`, of trajectories also the failures among them, returns below
    `success_threshold`. The model given is the one that is trained. What a reference says of the
    rows is kept in `reference_cache`, a folder, and read from there by the next training that asks
    the same of it, with another `beta` say (`reference_scores`). With `launch` models are trained
    in several processes (`train_launched`); what else is done, this one does. `reporting`: the
    trackers that are told of each step too; nothing depends on them.

    Raises `InvalidInput` under a launcher that started several of this one.
    """

    max_length: int
    seed: int
    output_dir: Path
    progress: Progress | None = None
    success_threshold: float = 1.0
    reference_cache: Path | None = None
    launch: Launch | None = None
    reporting: Reporting = SILENT

    def __post_init__(self) -> None:
        refuse_several_processes()

    def sft(
        self,
        start: Model,
        trajectories: Sequence[Trajectory],
        optimisation: Optimisation,
        *,
        all_tokens: bool = False,
        teach_without_action: bool = False,
        render_actions: bool = False,
        learned: Learned | None = None,
    ) -> Trained:
        """Supervised fine-tuning on the agent's turns, on trees unless `optimisation.unshared`; see
        `w2stree.training.trees.stage`. `all_tokens`: on the observations too; the other options
        are those of `tokenize_sft`. What gives no row is told by a `RowWarning` and counted; with
        `learned`, also the turns that it leaves out (`num_unlearned_turns`)."""
        model, tokenizer = start
        rows = tokenize_sft(
            trajectories,
            ChatFormat(tokenizer),
            max_length=self.max_length,
            all_tokens=all_tokens,
            teach_without_action=teach_without_action,
            render_actions=render_actions,
            learned=learned,
        )
        notes = rows.notes()
        if notes and not rows.rows:
            raise InvalidInput(f"no trajectories to train on: {'; '.join(notes)}")
        self._refuse_none_left(len(rows.rows), len(trajectories), "trajectories")
        num_failures = sum(
            not at_least(t.total_return, self.success_threshold) for t in rows.too_long
        )
        for note in notes:
            warnings.warn(note, RowWarning, stacklevel=2)
        if rows.too_long:
            self._warn(
                f"{len(rows.too_long)} of {len(trajectories)} trajectories",
                f"; {num_failures} of them are failures",
            )
        examples = sft_examples(rows.rows, numbered([t.prompt for t in rows.kept]))
        if self.launch is not None:
            trained = train_launched(
                self.launch, model, tokenizer, examples, optimisation, **self._told()
            )
        elif _is_unshared(model, examples, optimisation):
            trained = train_sft(model.train(), tokenizer, rows.rows, optimisation, **self._told())
        else:
            trained = trees.train_sft(model, tokenizer, examples, optimisation, **self._told())
        counts = {
            "num_rows": len(rows.rows),
            "num_too_long": len(rows.too_long),
            "num_too_long_failures": num_failures,
            "num_errors": rows.num_errors,
            "num_wordless": rows.num_wordless,
            "num_untaught": rows.num_untaught,
            "num_untaught_turns": rows.num_untaught_turns,
        }
        if learned is not None:
            counts["num_unlearned"] = rows.num_unlearned
            counts["num_unlearned_turns"] = rows.num_unlearned_turns
        return Trained(trained.model, tokenizer, {**counts, **trained.metrics}, trained.steps)

    def dpo(
        self,
        start: Model,
        rows: Sequence[PreferenceRow],
        optimisation: Optimisation,
        *,
        reference: ModelSource,
        reference_is_start: bool,
        beta: float,
        sft_weight: float,
    ) -> Trained:
        """DPO on the agent's turns, on trees as `sft`. The reference may have another tokenizer; it
        is opened to score the rows and then dropped."""
        model, tokenizer = start
        kept, scored = self._with_reference(rows, tokenizer, reference, optimisation)
        num_too_long = len(rows) - len(scored)
        if num_too_long:
            self._warn(f"{num_too_long} of {len(rows)} preference rows", "")
        loss: dict[str, Any] = {
            "beta": beta,
            "sft_weight": sft_weight,
            "reference_is_start": reference_is_start,
        }
        examples = preference_examples(scored, numbered([row.chosen.prompt for row in kept]))
        if self.launch is not None:
            trained = train_launched(
                self.launch, model, tokenizer, examples, optimisation, **loss, **self._told()
            )
        elif _is_unshared(model, examples, optimisation):
            trained = train_dpo(
                model.train(), tokenizer, scored, optimisation, **loss, **self._told()
            )
        else:
            trained = trees.train_dpo(
                model, tokenizer, examples, optimisation, **loss, **self._told()
            )
        counts = {"num_used_rows": len(scored), "num_too_long": num_too_long}
        return Trained(trained.model, tokenizer, {**counts, **trained.metrics}, trained.steps)

    def _with_reference(
        self,
        rows: Sequence[PreferenceRow],
        tokenizer: Any,
        reference: ModelSource,
        optimisation: Optimisation,
    ) -> tuple[list[PreferenceRow], list[dict[str, Any]]]:
        """Rows, and each in the policy's ids with the reference's log-probabilities, from its own
        ids.

        Rows too long for either tokenizer are left out.
        """
        scorer, its_tokenizer = reference()
        ours, theirs = (
            tokenize_preferences(rows, ChatFormat(tok), max_length=self.max_length)
            for tok in (tokenizer, its_tokenizer)
        )
        both = [
            (row, a, b)
            for row, a, b in zip(rows, ours, theirs, strict=True)
            if a is not None and b is not None
        ]
        self._refuse_none_left(len(both), len(rows), "preference rows")
        kept = [row for row, _, _ in both]
        logprobs = self._reference_logprobs(scorer, kept, [b for _, _, b in both], optimisation)
        return kept, [
            {**row, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
            for (_, row, _), (chosen, rejected) in zip(both, logprobs, strict=True)
        ]

    def _reference_logprobs(
        self,
        scorer: Any,
        rows: Sequence[PreferenceRow],
        tokens: Sequence[dict[str, list[int]]],
        optimisation: Optimisation,
    ) -> list[tuple[float, float]]:
        """(chosen, rejected) of each row, as the policy's are computed."""
        lora = optimisation.lora is not None
        examples = preference_examples(tokens, numbered([row.chosen.prompt for row in rows]))
        if _is_unshared(scorer, examples, optimisation):
            return sequence_logprobs(
                scorer, tokens, batch_size=optimisation.rows_at_a_time, lora=lora
            )
        found = reference_scores(
            scorer,
            [s for e in examples for s in e.sequences],
            max_pack_tokens=MAX_PACK_TOKENS,
            lora=lora,
            cache=self.reference_cache,
            sequences_a_row=2,
        )
        return [(chosen, rejected) for chosen, rejected in found.reshape(-1, 2).tolist()]

    def _told(self) -> dict[str, Any]:
        return {
            "output_dir": str(self.output_dir),
            "seed": self.seed,
            "progress": self.progress,
            "reporting": self.reporting,
        }

    def _refuse_none_left(self, num_left: int, num_given: int, what: str) -> None:
        if num_given and not num_left:
            raise InvalidInput(
                f"no {what} to train on: all {num_given} exceed max_length "
                f"({self.max_length} tokens); raise it"
            )

    def _warn(self, which: str, more: str) -> None:
        warnings.warn(
            f"{which} exceed max_length ({self.max_length} tokens) and are left out{more}: raise "
            "it to learn from them",
            RowsTooLong,
            stacklevel=3,
        )


def _is_unshared(model: Any, examples: Sequence[Example], optimisation: Optimisation) -> bool:
    """Whether each row is computed by itself: on request, or since trees refuse the model."""
    longest = max((len(s.ids) for e in examples for s in e.sequences), default=None)
    return optimisation.unshared or is_refused_by_trees(model.to(best_device()), longest)
