"""Fitting a model to trajectories or preferences: from what was played to trained weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2stree.training.optimisation import Optimisation
from w2stree.training.rows import PreferenceRow, tokenize_preferences, tokenize_sft
from w2stree.training.trainers import Progress, sequence_logprobs, train_dpo, train_sft
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.chat import ChatFormat

Model = tuple[Any, Any]
"""A causal LM and its tokenizer."""

ModelSource = Callable[[], Model]
"""Opens a model. The model takes memory from the call until it is dropped: call it late."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model and the figures of its training."""

    model: Any
    tokenizer: Any
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """The part of training that is the same for every method: how long a row may be, the seed, the
    folder the trainer may write to, and who is told of each step.

    Rows that exceed `max_length` tokens are left out whole and counted (`num_too_long`). The model
    given is the one that is trained.
    """

    max_length: int
    seed: int
    output_dir: Path
    progress: Progress | None = None

    def sft(
        self,
        start: Model,
        trajectories: Sequence[Trajectory],
        optimisation: Optimisation,
        *,
        all_tokens: bool = False,
    ) -> Trained:
        """Supervised fine-tuning on the agent's turns; see `train_sft`. `all_tokens`: on the
        observations too."""
        model, tokenizer = start
        rows = tokenize_sft(
            trajectories,
            ChatFormat(tokenizer),
            max_length=self.max_length,
            all_tokens=all_tokens,
        )
        model, metrics = train_sft(
            model.train(),
            tokenizer,
            rows.rows,
            optimisation,
            output_dir=str(self.output_dir),
            seed=self.seed,
            progress=self.progress,
        )
        counts = {
            "num_rows": len(rows.rows),
            "num_too_long": rows.num_too_long,
            "num_wordless": rows.num_wordless,
            "num_untaught": rows.num_untaught,
            "num_untaught_turns": rows.num_untaught_turns,
        }
        return Trained(model, tokenizer, {**counts, **metrics})

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
        """DPO on the agent's turns; see `train_dpo`. The reference may have another tokenizer; it
        is opened to score the rows and then dropped."""
        model, tokenizer = start
        scored = self._with_reference(rows, tokenizer, reference, optimisation.batch_size)
        model, metrics = train_dpo(
            model.train(),
            tokenizer,
            scored,
            optimisation,
            beta=beta,
            sft_weight=sft_weight,
            reference_is_start=reference_is_start,
            output_dir=str(self.output_dir),
            seed=self.seed,
            progress=self.progress,
        )
        counts = {"num_used_rows": len(scored), "num_too_long": len(rows) - len(scored)}
        return Trained(model, tokenizer, {**counts, **metrics})

    def _with_reference(
        self,
        rows: Sequence[PreferenceRow],
        tokenizer: Any,
        reference: ModelSource,
        batch_size: int,
    ) -> list[dict[str, Any]]:
        """Rows in the policy's ids with the reference's log-probabilities, from its own ids.

        Rows too long for either tokenizer are left out.
        """
        scorer, its_tokenizer = reference()
        ours, theirs = (
            tokenize_preferences(rows, ChatFormat(tok), max_length=self.max_length)
            for tok in (tokenizer, its_tokenizer)
        )
        both = [
            (a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None
        ]
        logprobs = sequence_logprobs(scorer, [b for _, b in both], batch_size=batch_size)
        return [
            {**row, "ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
            for (row, _), (chosen, rejected) in zip(both, logprobs, strict=True)
        ]
