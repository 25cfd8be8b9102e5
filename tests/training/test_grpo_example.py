"""examples/grpo.py: what TRL's loss is weighed by is what the tree of the runs says.

Seconds on an idle machine, three quarters of them imports and games' processes.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("gymnasium")

import torch

import w2stree as w2s
from w2stree.forest.advantages import advantages

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.train,
    pytest.mark.filterwarnings("ignore::w2stree.errors.RowWarning"),
    pytest.mark.filterwarnings("ignore::w2stree.errors.IdenticalTrajectories"),
]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    monkeypatch.syspath_prepend(EXAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("grpo")


def test_the_loss_is_weighed_by_the_trees_advantages(example: Any, tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    losses: list[float] = []

    class Recorded(example.TreeCreditTrainer):  # type: ignore[misc]
        def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
            loss = super()._compute_loss(model, inputs)
            seen.append(dict(inputs))
            losses.append(float(loss.detach()))
            return loss

    player = example.train(tmp_path, num_steps=2, trainer_class=Recorded)
    assert len(seen) == 2 and len(player.forest.trajectories) == 16
    runs = list(player.forest.trajectories)
    told_apart = 0
    for number, (batch, loss) in enumerate(zip(seen, losses, strict=True)):
        played = runs[8 * number : 8 * number + 8]
        # The tree as it stood when the batch was played, built of nothing but the runs.
        forest = w2s.build_forest(runs[: 8 * number + 8])
        values = advantages(forest, baseline="leave_one_out")
        mask = batch["completion_mask"] * batch["tool_mask"]
        used = {
            tuple(ids[m.bool()].tolist()): weights[m.bool()].tolist()
            for ids, m, weights in zip(
                batch["completion_ids"], mask, batch["advantages"], strict=True
            )
        }
        for i, run in enumerate(played):
            of_run = values.of(8 * number + i).tolist()
            said, weighed = [], []
            for step, value in zip(run.steps, of_run, strict=True):
                assert step.token_ids is not None  # what was sampled, and not read anew
                ids = list(step.token_ids)
                if step.is_cut:  # the end of a turn that was cut off is not the model's
                    ids = ids[: len(ids) - len(player.chat.end_ids)]
                said += ids
                weighed += [value if value < 0 or step.action else 0.0] * len(ids)
            assert used[tuple(said)] == pytest.approx(weighed)
            told_apart += len(set(of_run)) > 1
        # At a batch's first step the ratio of old and new probability is 1.
        expected = -(batch["advantages"] * mask).sum() / mask.sum()
        assert loss == pytest.approx(float(expected), abs=1e-6)
    assert told_apart  # or one advantage a run would have done
