"""Whether the installed TRL trains what it is given: its first losses against the model's own.

TRL scales and caps logits by the names of configuration keys, and knows the batches of other
versions by other names. What it does not know it would not say: it would train on other
probabilities than the model plays with. So before the first step one row is scored twice, by TRL
and by the model's own head.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import trl

from w2stree.errors import InvalidInput, MissingDependency
from w2stree.rows.tokenized import IGNORED
from w2stree.training.precision import Precision
from w2stree.training.trees.head import plain
from w2stree.training.unshared.scoring import batch_logprobs

TRIED = "1.10, 1.12, 1.13, 1.14 and 1.16"
"""The versions of TRL that these trainers were tried with (`tests/training/unshared`).

1.15 was tried too: it scores by a kernel of Triton's, and cannot on a CPU.
"""

_ROUNDING = 1e-3
_BFLOAT16_ROUNDING = 0.1


@contextmanager
def told_of_trl() -> Iterator[None]:
    """Raises `MissingDependency` where what is asked of TRL within is not there."""
    try:
        yield
    except (AttributeError, KeyError, TypeError) as error:
        raise MissingDependency(
            f"TRL {trl.__version__} has not what w2stree asks of its trainers "
            f"({type(error).__name__}: {error}); TRL {TRIED} have: pip install 'w2stree[train]', "
            "or train on trees, which need no trainer of TRL's"
        ) from error


@torch.no_grad()
def check_sft(trainer: Any, row: Mapping[str, Any], precision: Precision) -> None:
    """Raises `InvalidInput` unless the loss of the row is the model's own, `MissingDependency`
    where TRL cannot say it. A mixture of experts adds a loss of its own, and is not looked at."""
    if getattr(plain(trainer.model).config.get_text_config(), "output_router_logits", False):
        return
    with _playing(trainer.model, precision):
        batch = _on(trainer.model, trainer.data_collator([row]))
        is_scored = batch["labels"] != IGNORED
        own = batch_logprobs(trainer.model, {**batch, "completion_mask": is_scored})
        with told_of_trl():
            found = -float(trainer.compute_loss(trainer.model, dict(batch)))
    _refuse_difference(trainer.model, found - float(own.sum() / is_scored[:, 1:].sum()), precision)


@torch.no_grad()
def check_dpo(trainer: Any, row: Mapping[str, Any], precision: Precision) -> None:
    """Raises `InvalidInput` unless the log-probabilities of both sides are the model's own,
    `MissingDependency` where TRL cannot say them."""
    with _playing(trainer.model, precision):
        batch = _on(trainer.model, trainer.data_collator([row]))
        own = batch_logprobs(trainer.model, batch)
        with told_of_trl():
            found = torch.cat(trainer.compute_ref_log_probs(trainer.model, batch))
    difference = (found - own) / batch["completion_mask"][:, 1:].sum(dim=1)
    _refuse_difference(trainer.model, float(difference.abs().max()), precision)


def _refuse_difference(model: Any, difference: float, precision: Precision) -> None:
    is_float32 = precision.weights == torch.float32 and not precision.is_autocast
    if not abs(difference) <= (_ROUNDING if is_float32 else _BFLOAT16_ROUNDING):
        raise InvalidInput(
            f"{type(plain(model)).__name__} cannot be trained unshared: its logits are not its "
            f"head's product in a form that TRL {trl.__version__} knows (log-probabilities are "
            f"{difference:.3g} apart)"
        )


@contextmanager
def _playing(model: Any, precision: Precision) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        with precision.autocast():
            yield
    finally:
        model.train(was_training)


def _on(model: Any, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: column.to(model.device) for name, column in batch.items()}
