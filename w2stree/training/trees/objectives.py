"""Losses as functions of sequences' scores.

A score is a sum of log-probabilities (`ScoredIds`), so a loss here is an expression in the scores
of a step and knows no tree: trees only make the scores cheap. S is a sequence's score, S' the
reference's (0 without one), w an example's weight.

objective        loss of an example                                      a step's loss divides by
Sft              -w S                                                    scored tokens, each w times
Dpo              -w [c log s(m) + (1-c) log s(-m)]                       examples, each w times
  robust         -w [c log s(m) - (1-c) log s(-m)] / (2c - 1)            examples
  m = beta [(S1 - S1') - (S2 - S2')], s the logistic function, c how sure the preference is
Ipo              w [(S1 - S1') / n1 - (S2 - S2') / n2 - 1 / (2 beta)]²   examples
  n scored tokens of a sequence
  SFT term       -w S1                                                   chosen sides' scored tokens
Group            -w sum_i q_i log softmax_i(beta (S_i - S_i'))           examples
PolicyGradient   -w S, whose tokens weigh their turn's advantage         examples

A step's loss is a mean over all its rows (or tokens), in however many micro-batches and processes
they come. `count` says what a micro-batch adds to the denominators; `loss`, given the step's
totals, is the micro-batch's share. The shares add up to the step's loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch.nn.functional import logsigmoid

from w2stree.errors import InvalidInput
from w2stree.training.trees.examples import Example, ExampleTensors
from w2stree.training.trees.scores import Scored

Figures = dict[str, torch.Tensor]
"""By name, as TRL's trainers name them, `[2]`: a sum and what it is to be divided by. Both add up
over micro-batches and processes."""

_CLOSE = 1e-6


class Objective(Protocol):
    """What training minimises."""

    @property
    def is_linear(self) -> bool:
        """Whether the loss is linear in the scores: its gradient is then known before them."""
        ...

    def check(self, examples: Sequence[Example]) -> None:
        """Raises `InvalidInput` for an example that this loss is not of, by its index."""
        ...

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        """`[num_denominators]`"""
        ...

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        """The share of these examples; `scores` `[num_sequences]`, `totals` as `count`'s sum."""
        ...

    def figures(self, scored: Scored, examples: ExampleTensors) -> Figures:
        """What people watch beside the loss."""
        ...


@dataclass(frozen=True, slots=True)
class Sft:
    """Mean negative log-likelihood of the tokens that count (L_SFT)."""

    is_linear: ClassVar[bool] = True

    def check(self, examples: Sequence[Example]) -> None:
        for where, example in _each(examples, {1}):
            if not example.sequences[0].weight.any():
                raise InvalidInput(f"{where} scores no token: it would train on nothing")

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        return (examples.sequence_weight * examples.num_scored).sum()[None]

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        return -(examples.sequence_weight * scores).sum() / totals[0]

    def figures(self, scored: Scored, examples: ExampleTensors) -> Figures:
        weight = examples.sequence_weight
        return {
            "mean_token_accuracy": _mean(scored.num_top1, weight, examples.num_scored),
            "entropy": _mean(scored.entropy, weight, examples.num_scored),
        }


@dataclass(frozen=True, slots=True)
class PolicyGradient:
    """Runs weighed by advantages (`w2stree.training.trees.advantages`), a mean over runs.

    Of runs that the policy itself played this is REINFORCE with a baseline (Williams 1992; Sutton
    and others 2000): minus its gradient is an estimate of the expected return's. Of another's runs
    it is a weighting of what they said. No ratio is clipped and no term holds the policy near a
    reference.
    """

    is_linear: ClassVar[bool] = True

    def check(self, examples: Sequence[Example]) -> None:
        for _ in _each(examples, {1}):
            pass  # a run may have no advantage anywhere

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        return examples.weight.sum()[None]

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        return -(examples.weight * scores).sum() / totals[0]

    def figures(self, scored: Scored, examples: ExampleTensors) -> Figures:
        return {"entropy": _mean(scored.entropy, examples.weight, examples.num_scored)}


@dataclass(frozen=True, slots=True)
class _Preference:
    """What losses of pairs share. An example's sequences are the chosen one, then the rejected."""

    beta: float
    sft_weight: float = 0.0
    """How much of the chosen sides' SFT loss is added (RPO, Pang and others 2024): their mean over
    tokens, as TRL's loss type `sft`."""

    is_linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise InvalidInput(f"beta is {self.beta}; give a number above 0")
        if not self.sft_weight >= 0:
            raise InvalidInput(f"sft_weight is {self.sft_weight}; give a number, 0 at least")

    def check(self, examples: Sequence[Example]) -> None:
        _check_references(examples)
        for where, example in _each(examples, {2}):
            for side, sequence in zip(("chosen", "rejected"), example.sequences, strict=True):
                if not sequence.weight.any():
                    raise InvalidInput(f"{where} scores no {side} token: nothing is compared")
            if example.target:
                _check_distribution(where, example.target)
                self._check_confidence(where, example.target[0])

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        chosen = examples.num_scored[::2]
        return torch.stack([examples.weight.sum(), (examples.weight * chosen).sum()])

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        losses = self._losses(scores - examples.reference, examples)
        loss = (examples.weight * losses).sum() / totals[0]
        if self.sft_weight:
            imitated = -(examples.weight * scores[::2]).sum() / totals[1]
            loss = loss + self.sft_weight * imitated
        return loss

    def figures(self, scored: Scored, examples: ExampleTensors) -> Figures:
        """A reward is `beta (S - S')`; the accuracy is the share of pairs whose chosen side has
        the greater one. The token accuracy is the chosen sides', the entropy both sides'."""
        reward = self.beta * (scored.score.detach() - examples.reference)
        chosen, rejected = reward[::2], reward[1::2]
        weight, count = examples.weight, examples.num_scored
        return {
            "rewards/chosen": _mean(chosen, weight),
            "rewards/rejected": _mean(rejected, weight),
            "rewards/accuracies": _mean((chosen > rejected).to(weight), weight),
            "rewards/margins": _mean(chosen - rejected, weight),
            "logps/chosen": _mean(scored.score.detach()[::2], weight),
            "logps/rejected": _mean(scored.score.detach()[1::2], weight),
            "mean_token_accuracy": _mean(scored.num_top1[::2], weight, count[::2]),
            "entropy": _mean(scored.entropy, examples.sequence_weight, count),
        }

    def _losses(self, ratio: torch.Tensor, examples: ExampleTensors) -> torch.Tensor:
        """`[num_examples]`; `ratio` `[num_sequences]` is `S - S'`."""
        raise NotImplementedError

    def _check_confidence(self, where: str, confidence: float) -> None:
        """How sure the chosen side is the better one."""


@dataclass(frozen=True, slots=True)
class Dpo(_Preference):
    """Direct preference optimisation (Eq. 6; Rafailov and others 2023), and what errs with it.

    An example's target (c, 1 - c) says how sure the preference is, absent: (1, 0).
    `label_smoothing` says that a share of all preferences is turned: c becomes
    `c (1 - e) + (1 - c) e`. Both labels are then learned in these shares (conservative DPO,
    Mitchell 2023), or, `is_robust`, the loss is unbiased under the turning (Chowdhury and others
    2024, Eq. 12; TRL's loss type `robust`), which needs c > 1/2.
    """

    label_smoothing: float = 0.0
    is_robust: bool = False

    def __post_init__(self) -> None:
        _Preference.__post_init__(self)
        if not 0 <= self.label_smoothing < 0.5:
            raise InvalidInput(f"label_smoothing is {self.label_smoothing}; give 0 to below 0.5")

    def _losses(self, ratio: torch.Tensor, examples: ExampleTensors) -> torch.Tensor:
        margin = self.beta * (ratio[::2] - ratio[1::2])
        sure = self._smoothed(examples.target[::2])
        kept, turned = sure * logsigmoid(margin), (1 - sure) * logsigmoid(-margin)
        if self.is_robust:
            return (turned - kept) / (2 * sure - 1)
        return -(kept + turned)

    def _smoothed(self, confidence: torch.Tensor) -> torch.Tensor:
        return confidence + self.label_smoothing * (1 - 2 * confidence)

    def _check_confidence(self, where: str, confidence: float) -> None:
        if self.is_robust and not confidence > 0.5:
            raise InvalidInput(
                f"{where} is {confidence} sure that its chosen side is the better one; the robust "
                "loss needs more than 0.5: turn the pair, or leave it out"
            )


@dataclass(frozen=True, slots=True)
class Ipo(_Preference):
    """Identity preference optimisation (Azar and others 2023, Eq. 17): log-ratios a scored token.

    The mean over a sequence's tokens is TRL's reading of it, which IPO's authors confirmed to it.
    """

    def _losses(self, ratio: torch.Tensor, examples: ExampleTensors) -> torch.Tensor:
        mean = ratio / examples.num_scored
        return (mean[::2] - mean[1::2] - 1 / (2 * self.beta)) ** 2

    def _check_confidence(self, where: str, confidence: float) -> None:
        if confidence != 1:
            raise InvalidInput(
                f"{where} is {confidence} sure of its preference, which IPO does not weigh: "
                "train with DPO, or give no target"
            )


@dataclass(frozen=True, slots=True)
class Group:
    """Cross-entropy of the sequences' rewards to a target distribution (listwise).

    `-sum_i q_i log softmax_i(beta (S_i - S_i'))`: ListNet's loss (Cao and others 2007) over
    implicit rewards, LiPO's `softmax` (Liu and others 2024). Two sequences with q = (1, 0) are DPO.
    With q = softmax(returns / temperature) it is least where beta times the log-ratios are the
    returns over the temperature, but for a constant.
    """

    beta: float

    is_linear: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise InvalidInput(f"beta is {self.beta}; give a number above 0")

    def check(self, examples: Sequence[Example]) -> None:
        _check_references(examples)
        for where, example in _each(examples, None):
            if len(example.sequences) < 2:
                raise InvalidInput(f"{where} has one sequence; a group compares two at least")
            for k, sequence in enumerate(example.sequences):
                if not sequence.weight.any():
                    raise InvalidInput(f"{where} scores no token of sequence {k}")
            _check_distribution(where, example.target)

    def count(self, examples: ExampleTensors) -> torch.Tensor:
        return examples.weight.sum()[None]

    def loss(
        self, scores: torch.Tensor, examples: ExampleTensors, totals: torch.Tensor
    ) -> torch.Tensor:
        reward = self.beta * (scores - examples.reference)
        index, zeros = examples.example, torch.zeros_like(examples.weight)
        greatest = zeros.scatter_reduce(0, index, reward.detach(), "amax", include_self=False)
        shifted = reward - greatest[index]
        partition = zeros.to(shifted).index_add(0, index, shifted.exp()).log()
        log_share = shifted - partition[index]
        return -(examples.sequence_weight * examples.target * log_share).sum() / totals[0]

    def figures(self, scored: Scored, examples: ExampleTensors) -> Figures:
        """`rewards/accuracies`: the share of groups where a sequence with the greatest target has
        the greatest reward."""
        reward = self.beta * (scored.score.detach() - examples.reference)
        index, zeros = examples.example, torch.zeros_like(examples.weight)

        def is_greatest(of: torch.Tensor) -> torch.Tensor:
            return of >= zeros.scatter_reduce(0, index, of, "amax", include_self=False)[index]

        hit = (is_greatest(reward) & is_greatest(examples.target)).to(zeros)
        hit = zeros.scatter_reduce(0, index, hit, "amax", include_self=False)
        weight = examples.sequence_weight
        return {
            "rewards/accuracies": _mean(hit, examples.weight),
            "entropy": _mean(scored.entropy, weight, examples.num_scored),
        }


def _each(examples: Sequence[Example], sizes: set[int] | None) -> Iterator[tuple[str, Example]]:
    """Each example and what to call it, of these numbers of sequences."""
    if not examples:
        raise InvalidInput("no examples to train on")
    for i, example in enumerate(examples):
        if sizes is not None and len(example.sequences) not in sizes:
            raise InvalidInput(
                f"examples[{i}] has {len(example.sequences)} sequences, where this loss is of "
                f"{min(sizes)}"
            )
        yield f"examples[{i}]", example


def _check_distribution(where: str, target: Sequence[float]) -> None:
    if not target or min(target) < 0 or abs(sum(target) - 1) > _CLOSE:
        raise InvalidInput(
            f"{where} has the target {tuple(target)}; give a share of each sequence, in sum 1"
        )


def _check_references(examples: Sequence[Example]) -> None:
    """All have a reference or none: a score of 0 would be one that says all of it is certain."""
    without = [i for i, example in enumerate(examples) if not example.reference]
    if 0 < len(without) < len(examples):
        raise InvalidInput(
            f"examples[{without[0]}] has no reference, and others have one; give all of them their "
            "reference's scores, or none"
        )


def _mean(
    total: torch.Tensor, weight: torch.Tensor, count: torch.Tensor | None = None
) -> torch.Tensor:
    """`[2]` the weighted sum, and of what: as many as `count`, or one each."""
    return torch.stack(
        [(weight * total).sum(), (weight if count is None else weight * count).sum()]
    )
