"""How a stage's weights are trained; no torch here, so that configurations can hold it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from w2stree.errors import InvalidInput
from w2stree.trajectories.field_types import check_field_types

Scheduler = Literal["constant_with_warmup", "cosine", "linear"]


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank adapters (Hu et al., 2021); the paper's are r 64, alpha 128 on q, k, v, o.

    `target_modules`: the layers that get an adapter, by the last parts of their names, or
    `all-linear`: all but the output layer. `dropout` is of the adapters' inputs. `merge`: whether
    what is saved is the whole model, or the adapters alone, which name the model they lie on.

    Raises `InvalidInput` for `r` or `alpha` below 1, no `target_modules`, or a `dropout` outside
    [0, 1).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    r: int = 64
    alpha: int = 128
    target_modules: tuple[str, ...] | Literal["all-linear"] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
    )
    dropout: float = 0.0
    merge: bool = True

    def __post_init__(self) -> None:
        check_field_types(self)
        for name in ("r", "alpha"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; give at least 1")
        if not self.target_modules:
            raise InvalidInput("target_modules is empty; name the layers that get an adapter")
        if self.target_modules != "all-linear" and not _are_names(self.target_modules):
            raise InvalidInput(
                f"target_modules is {self.target_modules!r}; give a list of names, or all-linear"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise InvalidInput(f"dropout is {self.dropout}; give a number in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """AdamW on one training stage; without `lora` all weights are trained.

    It lasts `num_epochs` passes over the rows, or `num_steps` steps of the optimiser, however many
    rows there are: methods with other rows are then trained equally long. An epoch's last step
    learns from the rows that are left. The schedule is that of all steps.

    A step learns from `batch_size` rows. With `micro_batch_size` so many are in memory at a time
    (a preference row is two sequences); the step is the same up to rounding, slower and smaller.
    `warmup_ratio`: the share of the steps, rounded up, in which the learning rate rises from 0; the
    last step is never one of them. `max_grad_norm`: longer gradients are scaled down to it. Why
    `adam_beta2` is not AdamW's usual 0.999: docs/method.md. `unshared`: each row by itself, by
    TRL's trainers, instead of what rows share once (`w2stree.training.trees`): the same loss.

    Raises `InvalidInput` unless exactly one of `num_epochs` and `num_steps` is given, `num_epochs`,
    `learning_rate` and `max_grad_norm` are finite and above 0, `num_steps` and `batch_size` >= 1,
    `micro_batch_size` divides the latter, `warmup_ratio` in [0, 1], `scheduler` one of `Scheduler`,
    `weight_decay` finite and >= 0, and `adam_beta2` in [0, 1).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    num_epochs: float | None = None
    num_steps: int | None = None
    learning_rate: float
    batch_size: int = 8
    micro_batch_size: int | None = None
    warmup_ratio: float = 0.05
    scheduler: Scheduler = "cosine"
    weight_decay: float = 0.0
    adam_beta2: float = 0.98
    max_grad_norm: float = 1.0
    lora: Lora | None = None
    unshared: bool = False

    def __post_init__(self) -> None:
        check_field_types(self)
        self._check_length()
        for name in ("learning_rate", "max_grad_norm"):
            if not 0.0 < getattr(self, name) < float("inf"):
                raise InvalidInput(f"{name} is {getattr(self, name)}; give a number above 0")
        if self.batch_size < 1:
            raise InvalidInput(f"batch_size is {self.batch_size}; give at least 1")
        if self.rows_at_a_time < 1 or self.batch_size % self.rows_at_a_time:
            raise InvalidInput(
                f"micro_batch_size is {self.micro_batch_size}; give a divisor of batch_size "
                f"({self.batch_size})"
            )
        if not 0.0 <= self.warmup_ratio <= 1.0:
            raise InvalidInput(f"warmup_ratio is {self.warmup_ratio}; give a number in [0, 1]")
        if self.scheduler not in get_args(Scheduler):
            raise InvalidInput(
                f"scheduler is {self.scheduler!r}; use one of {', '.join(get_args(Scheduler))}"
            )
        if not 0.0 <= self.weight_decay < float("inf"):
            raise InvalidInput(f"weight_decay is {self.weight_decay}; give a number >= 0")
        if not 0.0 <= self.adam_beta2 < 1.0:
            raise InvalidInput(f"adam_beta2 is {self.adam_beta2}; give a number in [0, 1)")

    def _check_length(self) -> None:
        if self.num_epochs is None and self.num_steps is None:
            raise InvalidInput("neither num_epochs nor num_steps is given; give one of them")
        if self.num_epochs is not None and self.num_steps is not None:
            raise InvalidInput(
                "num_epochs and num_steps are both given; give one, and leave the other out or null"
            )
        if self.num_epochs is not None and not 0.0 < self.num_epochs < float("inf"):
            raise InvalidInput(f"num_epochs is {self.num_epochs}; give a number above 0")
        if self.num_steps is not None and self.num_steps < 1:
            raise InvalidInput(f"num_steps is {self.num_steps}; give at least 1")

    @property
    def rows_at_a_time(self) -> int:
        """How many rows are in memory together."""
        return self.batch_size if self.micro_batch_size is None else self.micro_batch_size


def _are_names(value: object) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(name, str) for name in value)
