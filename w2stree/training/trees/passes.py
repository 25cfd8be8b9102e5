"""Forward and backward passes of a step's part, also where it exceeds the memory.

one pack        S = scores;  L(S);  backward
several parts   S = scores of all, without gradient;  g = dL/dS;  part by part backward of g · S

The gradient of L is the sum over the parts of (dL/dS) (dS/dweights), and dL/dS is a function of the
numbers S alone: the second way is exact, and holds one part's activations at a time (GradCache, Gao
and others 2021). It costs one more forward pass of all parts but one; of a linear loss none, whose
dL/dS is known before. Both passes must see one model: no dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from w2stree.errors import InvalidInput, ModelFailure
from w2stree.training.trees.cut import parts as cut
from w2stree.training.trees.examples import ExampleTensors
from w2stree.training.trees.objectives import Figures, Objective
from w2stree.training.trees.pack import pack
from w2stree.training.trees.scores import PackTensors, Scored, scored
from w2stree.training.trees.sequences import ScoredIds


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A pack, and which of the examples' sequences it holds, in its order."""

    pack: PackTensors
    sequence: torch.Tensor
    """`[num_sequences]` of the pack."""

    @classmethod
    def of(
        cls, sequences: Sequence[ScoredIds], which: NDArray[np.int64], device: Any = "cpu"
    ) -> Part:
        """`sequences` are those of all examples, in their order."""
        chosen = pack([sequences[i] for i in which.tolist()])
        return cls(PackTensors.of(chosen, device), torch.from_numpy(which).to(device))

    @classmethod
    def all_of(
        cls, sequences: Sequence[ScoredIds], max_tokens: int, device: Any = "cpu"
    ) -> list[Part]:
        """Of at most `max_tokens` distinct tokens each, but for longer sequences (`cut.parts`)."""
        return [cls.of(sequences, which, device) for which in cut(sequences, max_tokens)]


@dataclass(frozen=True, slots=True, eq=False)
class Loss:
    """A micro-batch's share of the step's loss, and what else was seen; nothing has a gradient."""

    value: torch.Tensor
    """A scalar."""
    scored: Scored
    """Of the examples' sequences, in their order."""
    figures: Figures


def backward(
    model: Any,
    parts: Sequence[Part],
    objective: Objective,
    examples: ExampleTensors,
    totals: torch.Tensor,
    *,
    attention: str = "auto",
    to_backward: Callable[[torch.Tensor], object] = torch.Tensor.backward,
    no_sync: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Loss:
    """Add the gradient of `objective.loss` to the model's weights.

    Each of the examples' sequences is in one of `parts`; `attention` is a backend
    (`attention.forward`). `to_backward` is called once a part, with
    a scalar whose gradients add up to the loss's: `torch.Tensor.backward`, or accelerate's, whose
    scaling of losses is then that of the gradient. `no_sync` holds while all parts but the last are
    computed (`lambda: accelerator.no_sync(model)`): processes exchange gradients once.

    Raises `InvalidInput` where nothing counts in the step (`totals` of 0), and `ModelFailure` where
    a score is no finite number; such a part adds no gradient.
    """
    _require_totals(totals)
    found = _Found(len(examples.example), examples.reference)
    first, *others = parts[::-1]  # its activations are still there when the scores are known
    if objective.is_linear:
        slope = _slope(objective, found.scored.score, examples, totals)
    else:
        for part in others:
            found.add(part, _without_gradient(model, part, attention))
    for part in (first, *others):
        with no_sync() if others and part is not others[-1] else nullcontext():
            this = scored(model, part.pack, attention=attention)
            if part is first or objective.is_linear:
                found.add(part, this)
            if part is first and not objective.is_linear:
                slope = _slope(objective, found.scored.score, examples, totals)
            to_backward((slope[part.sequence] * this.score).sum())
    return _loss(found.scored, objective, examples, totals)


def evaluate(
    model: Any,
    parts: Sequence[Part],
    objective: Objective,
    examples: ExampleTensors,
    totals: torch.Tensor,
    *,
    attention: str = "auto",
) -> Loss:
    """The loss alone, without gradient. Raises as `backward`."""
    _require_totals(totals)
    found = _Found(len(examples.example), examples.reference)
    for part in parts:
        found.add(part, _without_gradient(model, part, attention))
    return _loss(found.scored, objective, examples, totals)


class _Found:
    """What the model said of each sequence so far, 0 of the others; nothing has a gradient."""

    def __init__(self, num_sequences: int, like: torch.Tensor) -> None:
        self.scored = Scored(*(like.new_zeros(num_sequences) for _ in range(3)))

    def add(self, part: Part, scored: Scored) -> None:
        """Raises `ModelFailure` for a score that is no finite number."""
        if num_wrong := int((~torch.isfinite(scored.score)).sum()):
            raise ModelFailure(
                f"{num_wrong} of {len(part.sequence)} sequences have scores that are no "
                "finite numbers: lower the learning_rate or max_grad_norm, or warm up longer; "
                "before the first step the model itself is damaged"
            )
        for name in ("score", "num_top1", "entropy"):
            getattr(self.scored, name)[part.sequence] = getattr(scored, name).detach()


@torch.no_grad()
def _without_gradient(model: Any, part: Part, attention: str) -> Scored:
    found = scored(model, part.pack, attention=attention)
    torch.clear_autocast_cache()  # of an open one: its weights here have no gradient
    return found


def _slope(
    objective: Objective, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
) -> torch.Tensor:
    """`[num_sequences]` dL/dS at these scores."""
    with torch.enable_grad():
        at = scores.clone().requires_grad_()
        return torch.autograd.grad(objective.loss(at, examples, totals), at)[0]


def _loss(
    scored: Scored, objective: Objective, examples: ExampleTensors, totals: torch.Tensor
) -> Loss:
    with torch.no_grad():
        return Loss(
            objective.loss(scored.score, examples, totals),
            scored,
            objective.figures(scored, examples),
        )


def _require_totals(totals: torch.Tensor) -> None:
    if not bool((totals > 0).all()):
        raise InvalidInput(
            f"the step's denominators are {totals.tolist()}: its examples score no token, or all "
            "their weights are 0"
        )
