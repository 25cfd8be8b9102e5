"""Passes in parts: through accelerate, in several processes, under autocast; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
import numpy as np  # noqa: E402
from accelerate import Accelerator  # noqa: E402
from support.token_trees import gradient, pairs, sft_examples, token_model  # noqa: E402
from torch import distributed, multiprocessing  # noqa: E402

from w2stree.errors import InvalidInput, ModelFailure  # noqa: E402
from w2stree.training.trees.examples import Example, ExampleTensors  # noqa: E402
from w2stree.training.trees.objectives import Dpo, Objective, Sft  # noqa: E402
from w2stree.training.trees.pack import pack  # noqa: E402
from w2stree.training.trees.passes import Loss, Part, backward, evaluate  # noqa: E402
from w2stree.training.trees.scores import PackTensors, scored  # noqa: E402

pytestmark = pytest.mark.train

DPO = Dpo(beta=0.3, sft_weight=0.5)


def some_pairs(seed: int = 0) -> list[Example]:
    return pairs(np.random.default_rng(seed), completion="suffix")


def backward_of(
    model: Any, examples: list[Example], budget: int, objective: Objective = DPO, **options: Any
) -> Loss:
    columns = ExampleTensors.of(examples)
    parts = Part.all_of([s for e in examples for s in e.sequences], budget)
    totals = options.pop("totals", objective.count(columns))
    return backward(model, parts, objective, columns, totals, **options)


def test_several_parts_are_back_propagated_once_each_and_synchronised_once() -> None:
    model = token_model()
    calls: list[str] = []

    class Quiet:
        def __enter__(self) -> None:
            calls.append("quiet")

        def __exit__(self, *error: object) -> None:
            calls.append("loud")

    def to_backward(share: torch.Tensor) -> None:
        calls.append("backward")
        share.backward()

    backward_of(model, some_pairs(), 1, to_backward=to_backward, no_sync=Quiet)
    num_parts = calls.count("backward")
    assert num_parts > 2
    assert calls == ["quiet", "backward", "loud"] * (num_parts - 1) + ["backward"]
    calls.clear()
    backward_of(model, some_pairs(), 10_000, to_backward=to_backward, no_sync=Quiet)
    assert calls == ["backward"]


def test_accelerate_scales_the_gradient_and_not_the_loss_that_is_told() -> None:
    examples, losses, gradients = some_pairs(), [], []
    for steps in (1, 4):
        for budget in (10_000, 8):
            accelerator = Accelerator(cpu=True, gradient_accumulation_steps=steps)
            model = accelerator.prepare(token_model())
            found = backward_of(model, examples, budget, to_backward=accelerator.backward)
            losses.append(found.value.item())
            gradients.append(gradient(model) * steps)
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-12)
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], atol=1e-7, rtol=1e-6)


def test_an_open_autocast_loses_no_gradient_in_parts() -> None:
    examples, gradients = some_pairs(), []
    for budget in (10_000, 8):
        model = token_model(torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            backward_of(model, examples, budget)
        gradients.append(gradient(model))
    assert (gradients[0] - gradients[1]).norm() < 0.05 * gradients[0].norm()


def test_an_evaluation_is_the_same_loss_without_gradient() -> None:
    model, examples = token_model(), some_pairs()
    columns = ExampleTensors.of(examples)
    parts = Part.all_of([s for e in examples for s in e.sequences], 8)
    found = evaluate(model, parts, DPO, columns, DPO.count(columns))
    assert all(w.grad is None for w in model.parameters())
    trained = backward_of(model, examples, 10_000)
    assert found.value.item() == pytest.approx(trained.value.item(), abs=1e-7)
    for name, figure in trained.figures.items():
        torch.testing.assert_close(found.figures[name], figure, atol=1e-6, rtol=1e-6)


def test_a_step_in_which_nothing_counts_is_refused() -> None:
    with pytest.raises(InvalidInput, match="denominators are"):
        backward_of(token_model(), some_pairs(), 8, totals=torch.zeros(2))
    unseen = [Example(e.sequences, weight=0.0) for e in sft_examples(np.random.default_rng(0))]
    with pytest.raises(InvalidInput, match="denominators are"):
        backward_of(token_model(), unseen, 8, Sft())


def test_a_batch_of_no_weight_adds_nothing_to_a_step_of_others() -> None:
    model = token_model()
    unseen = [Example(e.sequences, weight=0.0) for e in some_pairs()]
    found = backward_of(model, unseen, 8, totals=torch.tensor([7.0, 9.0]))
    assert found.value == 0 and not gradient(model).any()


@pytest.mark.parametrize("budget", [10_000, 8])
def test_scores_that_are_no_number_reach_no_weight(budget: int) -> None:
    model = token_model()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    for objective, examples in (
        (DPO, some_pairs()),
        (Sft(), sft_examples(np.random.default_rng(0))),
    ):
        with pytest.raises(ModelFailure, match="no finite numbers: lower the learning_rate"):
            backward_of(model, examples, budget, objective)
        assert all(w.grad is None for w in model.parameters())


def _rank(rank: int, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    torch.set_num_threads(1)
    _in_step_with_another(rank, Path(folder))
    _with_half_of_each_weight(rank, Path(folder))
    distributed.destroy_process_group()


def _in_step_with_another(rank: int, folder: Path) -> None:
    model = torch.nn.parallel.DistributedDataParallel(token_model())
    totals = DPO.count(ExampleTensors.of(some_pairs()))

    def to_backward(share: torch.Tensor) -> None:
        (share * 2).backward()  # DDP takes the mean over processes

    mine = some_pairs()[rank::2]
    backward_of(model, mine, 8, totals=totals, to_backward=to_backward, no_sync=model.no_sync)
    torch.save(gradient(model), folder / f"{rank}.pt")


def _with_half_of_each_weight(rank: int, folder: Path) -> None:
    from torch.distributed.fsdp import fully_shard

    for max_logits in (7 * 1000, 7 * 3):
        model = token_model()
        for layer in model.model.layers:
            fully_shard(layer)
        fully_shard(model)
        scored(model, _one_pack(), max_logits=max_logits).score.sum().backward()
        whole = [w.grad.full_tensor().flatten() for w in model.parameters()]
        if rank == 0:
            torch.save(torch.cat(whole), folder / f"sharded {max_logits}.pt")


def _one_pack() -> PackTensors:
    return PackTensors.of(pack([s for e in some_pairs() for s in e.sequences]))


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes left there: each one's gradient in step, and those of sharded weights."""
    folder = tmp_path_factory.mktemp("two")
    multiprocessing.spawn(_rank, (str(folder),), nprocs=2)
    return folder


def test_two_processes_have_the_gradient_of_one(two_processes: Path) -> None:
    model = token_model()
    backward_of(model, some_pairs(), 10_000)
    for rank in (0, 1):
        found = torch.load(two_processes / f"{rank}.pt")
        torch.testing.assert_close(found, gradient(model), atol=1e-6, rtol=1e-5)


def test_sharded_weights_have_the_gradient_of_whole_ones(two_processes: Path) -> None:
    model = token_model()
    scored(model, _one_pack()).score.sum().backward()
    for file in two_processes.glob("sharded*"):
        found = torch.load(file)
        assert (found - gradient(model)).norm() < 1e-5 * gradient(model).norm()
