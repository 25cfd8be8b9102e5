"""Losses and gradients of packs are those of one sequence at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
import numpy as np  # noqa: E402
from support.token_trees import (  # noqa: E402
    Apart,
    advantage_examples,
    gradient,
    groups,
    norms_in_full,
    pairs,
    sft_examples,
    token_model,
)

from w2stree.training.trees.examples import Example, ExampleTensors  # noqa: E402
from w2stree.training.trees.objectives import (  # noqa: E402
    Dpo,
    Group,
    Ipo,
    Objective,
    PolicyGradient,
    Sft,
)
from w2stree.training.trees.passes import Part, backward  # noqa: E402

pytestmark = pytest.mark.train

LOSSES: dict[str, tuple[Objective, Callable[[np.random.Generator], list[Example]]]] = {
    "sft": (Sft(), sft_examples),
    "dpo on steps": (Dpo(beta=0.3), lambda draw: pairs(draw, completion="step")),
    "dpo on suffixes": (Dpo(beta=0.3), lambda draw: pairs(draw, completion="suffix")),
    "dpo without a reference": (
        Dpo(beta=0.3),
        lambda draw: pairs(draw, completion="suffix", reference=False),
    ),
    "dpo and sft": (
        Dpo(beta=0.3, sft_weight=0.5),
        lambda draw: pairs(draw, completion="suffix"),
    ),
    "ipo": (Ipo(beta=0.3), lambda draw: pairs(draw, completion="suffix")),
    "smoothed": (
        Dpo(beta=0.3, label_smoothing=0.1),
        lambda draw: pairs(draw, completion="suffix", confident=False),
    ),
    "robust": (
        Dpo(beta=0.3, label_smoothing=0.1, is_robust=True),
        lambda draw: pairs(draw, completion="step", confident=False),
    ),
    "group": (Group(beta=0.3), groups),
    "advantages": (PolicyGradient(), advantage_examples),
}
NUM_FORESTS = 200


@pytest.fixture(autouse=True)
def _full_precision() -> Iterator[None]:
    with norms_in_full():
        yield


def _together(
    model: torch.nn.Module, objective: Objective, examples: list[Example], budget: int
) -> tuple[float, torch.Tensor, int]:
    sequences = [s for e in examples for s in e.sequences]
    parts = Part.all_of(sequences, budget)
    columns = ExampleTensors.of(examples)
    model.zero_grad()
    loss = backward(model, parts, objective, columns, objective.count(columns))
    return loss.value.item(), gradient(model), len(parts)


def _apart(
    apart: Apart, objective: Objective, examples: list[Example]
) -> tuple[float, torch.Tensor]:
    """Each sequence's score and gradient by itself, the loss's by the chain rule."""
    found, gradients = apart.of([s for e in examples for s in e.sequences])
    found.requires_grad_()
    columns = ExampleTensors.of(examples)
    loss = objective.loss(found, columns, objective.count(columns))
    (slope,) = torch.autograd.grad(loss, found)
    return loss.item(), slope @ gradients


def _budget(draw: np.random.Generator, examples: list[Example]) -> int:
    """From one path to the whole."""
    lengths = [len(s.ids) for e in examples for s in e.sequences]
    return int(draw.integers(max(lengths), sum(lengths) + 1))


def _compare(name: str, seeds: range) -> set[int]:
    """Over these forests; in how many parts they were."""
    model = token_model()
    objective, draw_examples = LOSSES[name]
    num_parts = set()
    for seed in seeds:
        draw = np.random.default_rng(seed)
        examples = draw_examples(draw)
        objective.check(examples)
        budget = _budget(draw, examples)
        loss, slope, num = _together(model, objective, examples, budget)
        num_parts.add(num)
        expected, its_slope = _apart(Apart(model), objective, examples)
        assert abs(loss - expected) <= 1e-12 * max(1, abs(expected)), (seed, budget)
        assert (slope - its_slope).norm() <= 1e-10 * its_slope.norm().clamp(min=1), (seed, budget)
    return num_parts


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_are_those_of_the_sequences_one_by_one(name: str) -> None:
    """All losses together see 200 forests."""
    share = NUM_FORESTS // len(LOSSES)
    first = list(LOSSES).index(name) * share
    assert len(_compare(name, range(first, first + share))) > 1


@pytest.mark.slow  # some three minutes; pytest -m slow
@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_on_200_forests(name: str) -> None:
    assert {1, 2, 3} <= _compare(name, range(NUM_FORESTS))


@pytest.mark.parametrize("name", ["dpo and sft", "advantages"])
def test_every_budget_from_one_path_to_the_whole_gives_one_gradient(name: str) -> None:
    model = token_model()
    objective, draw_examples = LOSSES[name]
    examples = draw_examples(np.random.default_rng(5))
    lengths = [len(s.ids) for e in examples for s in e.sequences]
    num_parts = []
    loss, slope, _ = _together(model, objective, examples, sum(lengths))
    for budget in range(1, sum(lengths) + 1):
        other, its_slope, num = _together(model, objective, examples, budget)
        num_parts.append(num)
        assert abs(loss - other) <= 1e-12
        assert (slope - its_slope).norm() <= 1e-10 * slope.norm()
        if num == 1:
            break
    assert num_parts[-1] == 1 and num_parts == sorted(num_parts, reverse=True)
    assert len(set(num_parts)) > 3


@pytest.mark.parametrize("name", LOSSES)
def test_in_float32_they_are_to_1e_4(name: str) -> None:
    model = token_model(torch.float32)
    objective, draw_examples = LOSSES[name]
    for seed in range(3):
        draw = np.random.default_rng(seed)
        examples = draw_examples(draw)
        loss, slope, _ = _together(model, objective, examples, _budget(draw, examples))
        expected, its_slope = _apart(Apart(model), objective, examples)
        assert abs(loss - expected) <= 1e-4 * max(1, abs(expected))
        assert (slope - its_slope).norm() <= 1e-4 * its_slope.norm().clamp(min=1)
