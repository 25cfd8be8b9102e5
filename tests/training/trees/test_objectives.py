"""Losses by hand, against TRL's, and what they refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
from support.tiny_models import BAD, GOOD, WORSE, tiny_model, tiny_tokenizer  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402

from w2stree import preference_dataset  # noqa: E402
from w2stree.errors import InvalidInput  # noqa: E402
from w2stree.forest.build import build_forest  # noqa: E402
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
from w2stree.training.trees.scores import Scored  # noqa: E402
from w2stree.training.trees.sequences import ScoredIds  # noqa: E402

pytestmark = pytest.mark.train


def scored_ids(num_scored: int, length: int = 5, tree: int = 0) -> ScoredIds:
    return ScoredIds.of(range(length), [0] * (length - num_scored) + [1] * num_scored, tree)


def loss_of(objective: Objective, examples: list[Example], scores: list[float]) -> float:
    columns = ExampleTensors.of(examples)
    given = torch.tensor(scores, dtype=torch.float64)
    return float(objective.loss(given, columns, objective.count(columns)))


def pair(**said: Any) -> Example:
    return Example((scored_ids(2), scored_ids(4)), **said)


# By hand --------------------------------------------------------------------------------------


def test_sft_is_the_mean_over_all_scored_tokens() -> None:
    examples = [Example((scored_ids(2),)), Example((scored_ids(3),), weight=2.0)]
    # (3 + 2 * 5) nats over (2 + 2 * 3) tokens
    assert loss_of(Sft(), examples, [-3.0, -5.0]) == 13 / 8


def test_dpo_by_hand() -> None:
    """log-ratios -3 + 4 = 1 and -6 + 5 = -1; margin 0.5 * 2 = 1; sigmoid(1) = 0.7310585786."""
    example = pair(reference=(-4.0, -5.0))
    scores = [-3.0, -6.0]
    assert loss_of(Dpo(beta=0.5), [example], scores) == pytest.approx(0.3132616875)
    # and 0.1 times the chosen side's 3 nats over 2 tokens
    assert loss_of(Dpo(beta=0.5, sft_weight=0.1), [example], scores) == pytest.approx(0.4632616875)
    # without a reference: margin 0.5 * (-3 + 6) = 1.5; -log sigmoid(1.5) = 0.2014132780
    assert loss_of(Dpo(beta=0.5), [pair()], scores) == pytest.approx(0.2014132780)


def test_ipo_by_hand() -> None:
    """1 / 2 tokens, -1 / 4 tokens: 0.5 + 0.25 - 1 / (2 * 0.5) = -0.25, squared 0.0625."""
    assert loss_of(Ipo(beta=0.5), [pair(reference=(-4.0, -5.0))], [-3.0, -6.0]) == 0.0625


def test_smoothed_and_robust_dpo_by_hand() -> None:
    """Margin 1: l = 0.3132616875 as it is and 1.3132616875 turned."""
    example, scores = pair(reference=(-4.0, -5.0)), [-3.0, -6.0]
    kept, turned = 0.3132616875, 1.3132616875
    smoothed = Dpo(beta=0.5, label_smoothing=0.1)
    assert loss_of(smoothed, [example], scores) == pytest.approx(0.9 * kept + 0.1 * turned)
    robust = Dpo(beta=0.5, label_smoothing=0.1, is_robust=True)
    expected = (0.9 * kept - 0.1 * turned) / 0.8
    assert loss_of(robust, [example], scores) == pytest.approx(expected)
    # A pair that says so itself, of a loss that does not.
    sure = pair(reference=(-4.0, -5.0), target=(0.9, 0.1))
    assert loss_of(Dpo(beta=0.5), [sure], scores) == pytest.approx(0.9 * kept + 0.1 * turned)
    assert loss_of(Dpo(beta=0.5, is_robust=True), [sure], scores) == pytest.approx(expected)
    # Both: turned in a tenth of all, whatever it says: 0.9 * 0.9 + 0.1 * 0.1 = 0.82.
    assert loss_of(smoothed, [sure], scores) == pytest.approx(0.82 * kept + 0.18 * turned)


def test_a_group_by_hand() -> None:
    """Rewards 0, log 2, log 5: shares 1/8, 2/8, 5/8."""
    group = Example(
        (scored_ids(1), scored_ids(2), scored_ids(3)), (0.5, 0.25, 0.25), (0.0, 0.0, 1.0)
    )
    scores = [0.0, 2 * math.log(2), 1 + 2 * math.log(5)]
    expected = 0.5 * math.log(8) + 0.25 * math.log(4) + 0.25 * math.log(8 / 5)
    assert loss_of(Group(beta=0.5), [group], scores) == pytest.approx(expected)


def test_a_group_of_two_is_dpo() -> None:
    examples = [
        pair(target=(1.0, 0.0), reference=(-4.0, -5.0), weight=2.0),
        pair(target=(0.8, 0.2), reference=(-1.0, -9.0)),
    ]
    scores = [-3.0, -6.0, -900.0, -7.0]
    found = loss_of(Group(beta=0.5), examples, scores)
    assert found == pytest.approx(loss_of(Dpo(beta=0.5), examples, scores), rel=1e-12)


def test_a_policy_gradient_is_a_mean_over_runs() -> None:
    examples = [Example((scored_ids(2),)), Example((scored_ids(0),)), Example((scored_ids(1),))]
    assert loss_of(PolicyGradient(), examples, [-3.0, 0.0, -0.6]) == pytest.approx(1.2)


def test_shares_of_micro_batches_add_up_to_the_step() -> None:
    examples = [pair(reference=(-4.0, -5.0)), pair(weight=3.0), pair(target=(0.7, 0.3))]
    scores = [-3.0, -6.0, -2.0, -2.5, -1.0, -0.5]
    objective = Dpo(beta=0.5, sft_weight=0.3)
    whole = loss_of(objective, examples, scores)
    totals = objective.count(ExampleTensors.of(examples))
    shares = [
        objective.loss(
            torch.tensor(scores[2 * i : 2 * i + 2]), ExampleTensors.of([example]), totals
        )
        for i, example in enumerate(examples)
    ]
    assert float(sum(shares)) == pytest.approx(whole)


def test_figures_are_those_people_know() -> None:
    examples = [pair(reference=(-4.0, -5.0)), pair(weight=3.0)]
    scored = Scored(
        score=torch.tensor([-3.0, -6.0, -2.0, -1.0]),
        num_top1=torch.tensor([1.0, 4.0, 2.0, 0.0]),
        entropy=torch.tensor([1.0, 2.0, 3.0, 4.0]),
    )
    figures = Dpo(beta=0.5).figures(scored, ExampleTensors.of(examples))
    means = {name: float(total / count) for name, (total, count) in figures.items()}
    assert means == pytest.approx(
        {
            "rewards/chosen": (0.5 - 3 * 1.0) / 4,
            "rewards/rejected": (-0.5 - 3 * 0.5) / 4,
            "rewards/accuracies": 1 / 4,
            "rewards/margins": (1.0 - 3 * 0.5) / 4,
            "logps/chosen": (-3 - 3 * 2) / 4,
            "logps/rejected": (-6 - 3 * 1) / 4,
            "mean_token_accuracy": (1 + 3 * 2) / (2 + 3 * 2),
            "entropy": (1 + 2 + 3 * (3 + 4)) / (6 + 3 * 6),
        }
    )


# Against TRL ----------------------------------------------------------------------------------

TRL_LOSSES: dict[str, tuple[dict[str, Any], Objective]] = {
    "sigmoid": ({"loss_type": ["sigmoid"]}, Dpo(beta=0.7)),
    "with sft": (
        {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.3]},
        Dpo(beta=0.7, sft_weight=0.3),
    ),
    "ipo": ({"loss_type": ["ipo"]}, Ipo(beta=0.7)),
    "robust": (
        {"loss_type": ["robust"], "label_smoothing": 0.2},
        Dpo(beta=0.7, label_smoothing=0.2, is_robust=True),
    ),
}


@pytest.mark.parametrize("name", TRL_LOSSES)
def test_loss_gradient_and_figures_are_those_of_trl_s_stock_trainer(
    name: str, tmp_path: Path
) -> None:
    """On the step rows of a small forest; the reference is another model."""
    arguments, objective = TRL_LOSSES[name]
    tokenizer = tiny_tokenizer()
    trainer = DPOTrainer(
        model=tiny_model(tokenizer),
        ref_model=tiny_model(tokenizer, seed=1),
        args=DPOConfig(
            output_dir=str(tmp_path),
            beta=0.7,
            max_length=None,
            use_cpu=True,
            bf16=False,
            report_to=[],
            gradient_checkpointing=False,
            disable_dropout=True,
            **arguments,
        ),
        train_dataset=preference_dataset(build_forest([GOOD, BAD, WORSE]).pairs()),
        processing_class=tokenizer,
    )
    rows = list(trainer.train_dataset)
    assert len(rows) == 3
    batch = trainer.data_collator(rows)
    model = trainer.model.train()
    expected = trainer.compute_loss(model, batch)
    expected.backward()
    gradients = {n: w.grad.clone() for n, w in model.named_parameters()}
    model.zero_grad()
    reference = [x for pair in zip(*_reference(trainer, batch), strict=True) for x in pair]
    examples = [
        Example((_side(row, "chosen"), _side(row, "rejected")), (), tuple(reference[2 * i :][:2]))
        for i, row in enumerate(rows)
    ]
    columns = ExampleTensors.of(examples)
    parts = Part.all_of([s for e in examples for s in e.sequences], 100_000)
    found = backward(model, parts, objective, columns, objective.count(columns))
    assert float(found.value) == pytest.approx(expected.item(), rel=1e-5)
    for weight_name, weight in model.named_parameters():
        torch.testing.assert_close(
            weight.grad, gradients[weight_name], atol=2e-5, rtol=1e-4, msg=weight_name
        )
    theirs = {key: sum(v) / len(v) for key, v in trainer._metrics["train"].items()}
    for key, (total, count) in found.figures.items():
        assert float(total / count) == pytest.approx(theirs[key], rel=1e-4, abs=1e-5), key
    model.zero_grad()
    in_parts = Part.all_of([s for e in examples for s in e.sequences], 60)
    assert len(in_parts) > 1
    again = backward(model, in_parts, objective, columns, objective.count(columns))
    assert float(again.value) == pytest.approx(expected.item(), rel=1e-5)
    for weight_name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[weight_name], atol=2e-5, rtol=1e-4)


def _side(row: dict[str, Any], side: str) -> ScoredIds:
    ids, scored = row["prompt_ids"], row[f"{side}_ids"]
    return ScoredIds.of(ids + scored, [0] * len(ids) + [1] * len(scored))


def _reference(trainer: Any, batch: dict[str, Any]) -> tuple[list[float], list[float]]:
    chosen, rejected = trainer.compute_ref_log_probs(trainer.ref_model, batch)
    return chosen.tolist(), rejected.tolist()


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "example", "told"),
    [
        (Sft(), Example((scored_ids(0),)), r"examples\[1\] scores no token"),
        (Sft(), pair(), r"examples\[1\] has 2 sequences, where this loss is of 1"),
        (Dpo(beta=1), Example((scored_ids(1),)), r"examples\[1\] has 1 sequences"),
        (Dpo(beta=1), Example((scored_ids(1), scored_ids(0))), r"\[1\] scores no rejected token"),
        (Dpo(beta=1), pair(target=(0.9, 0.3)), r"\[1\] has the target \(0.9, 0.3\); .* in sum 1"),
        (Dpo(beta=1), pair(target=(1.5, -0.5)), r"\[1\] has the target"),
        (Dpo(beta=1, is_robust=True), pair(target=(0.5, 0.5)), r"\[1\] is 0.5 sure"),
        (Ipo(beta=1), pair(target=(0.9, 0.1)), r"\[1\] is 0.9 sure .* IPO does not weigh"),
        (Group(beta=1), pair(), r"\[1\] has the target \(\)"),
        (Group(beta=1), Example((scored_ids(1),), (1.0,)), r"\[1\] has one sequence"),
        (
            Group(beta=1),
            Example((scored_ids(1), scored_ids(0)), (0.5, 0.5)),
            r"\[1\] scores no token of sequence 1",
        ),
    ],
)
def test_an_example_that_a_loss_is_not_of_is_named(
    objective: Objective, example: Example, told: str
) -> None:
    good: dict[type, Example] = {
        Sft: Example((scored_ids(1),)),
        Group: pair(target=(0.5, 0.5)),
    }
    with pytest.raises(InvalidInput, match=told):
        objective.check([good.get(type(objective), pair()), example])


@pytest.mark.parametrize("objective", [Sft(), PolicyGradient(), Dpo(beta=1), Group(beta=1)])
def test_no_examples_are_refused(objective: Objective) -> None:
    with pytest.raises(InvalidInput, match="no examples"):
        objective.check([])


@pytest.mark.parametrize("objective", [Dpo(beta=1), Ipo(beta=1), Group(beta=1)])
def test_some_references_are_refused(objective: Objective) -> None:
    target = (0.5, 0.5) if isinstance(objective, Group) else ()
    examples = [pair(target=target, reference=(-1.0, -2.0)), pair(target=target)]
    objective.check(examples[:1])
    objective.check(examples[1:])
    with pytest.raises(InvalidInput, match=r"examples\[1\] has no reference, and others have"):
        objective.check(examples)


def test_numbers_that_are_none_are_refused() -> None:
    for said in ({"reference": (math.nan, 0.0)}, {"target": (math.inf, 0.0)}, {"weight": -1.0}):
        with pytest.raises(InvalidInput, match=next(iter(said))):
            pair(**said)
    for settings in ({"beta": 0.0}, {"beta": math.nan}, {"beta": 1.0, "sft_weight": -1.0}):
        with pytest.raises(InvalidInput, match=list(settings)[-1]):
            Ipo(**settings)
    with pytest.raises(InvalidInput, match=r"label_smoothing is 0\.5"):
        Dpo(beta=1.0, label_smoothing=0.5)
