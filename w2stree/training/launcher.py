"""Launchers of several processes: what one is asked for, and who has no use for one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from w2stree.errors import InvalidInput
from w2stree.trajectories.field_types import check_field_types

_OURS = ("--num_processes", "--num_machines", "--machine_rank", "--no_python", "--module", "-m")
_NOT_ON_TREES = {
    "--use_deepspeed": "it counts backward passes, and a micro-batch in parts has several",
    "--use_megatron_lm": "it cuts sequences, and a pack is not one sequence",
    "--use_parallelism_config": "it cuts sequences, and a pack is not one sequence",
}


@dataclass(frozen=True, slots=True)
class Launch:
    """Training stages in `num_processes` processes of this machine, by `accelerate launch`.

    `arguments`: what it is given beside the number: how processes share the model. `--multi_gpu`:
    each holds it whole; `--use_fsdp` and its options, or `--config_file FILE`: it is sharded. They
    reach the program as they stand, no shell reads them.

    Raises `InvalidInput` for fewer than two processes, and for an argument that says what a run
    says, or that cannot hold on trees.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    num_processes: int
    arguments: tuple[str, ...] = ("--multi_gpu",)

    def __post_init__(self) -> None:
        check_field_types(self)
        if self.num_processes < 2:
            raise InvalidInput(
                f"num_processes is {self.num_processes}; one process needs no launcher: leave "
                "launch out"
            )
        if self.arguments and not self.arguments[0].startswith("-"):
            raise InvalidInput(
                f"arguments begins with {self.arguments[0]}, which the launcher would take for the "
                "program; give its options"
            )
        for argument in self.arguments:
            if argument.startswith("-") and len(argument.partition("=")[0].split()) > 1:
                raise InvalidInput(
                    f"arguments has {argument!r} as one; give each argument as an entry of its own"
                )
            name = argument.partition("=")[0].replace("-", "_").replace("__", "--", 1)
            if argument in _OURS or name in _OURS:
                raise InvalidInput(
                    f"arguments has {argument}: a run says what is launched, in num_processes "
                    "processes of one machine; leave it out"
                )
            if name in _NOT_ON_TREES:
                raise InvalidInput(f"arguments has {argument}: {_NOT_ON_TREES[name]}")


def refuse_several_processes() -> None:
    """Raises `InvalidInput` under a launcher that started several processes.

    Of a run each would train on every row, play every episode and wait for the others' directory;
    of an unshared step each would take its own tokens for all. Training on trees takes several.
    """
    if (num_processes := started_processes()) != 1:
        raise InvalidInput(
            f"a launcher (accelerate launch, torchrun) started {num_processes} processes "
            "(WORLD_SIZE); runs and unshared training take one process: start it without a "
            "launcher, and choose the GPU by CUDA_VISIBLE_DEVICES (a run's key `launch` trains in "
            "several, and w2stree train takes a launcher, both on trees)"
        )


def started_processes() -> int:
    """How many a launcher started, this one among them; 1 without one."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rows_of_a_process(
    batch_size: int, micro_batch_size: int | None, num_processes: int
) -> tuple[int, int]:
    """(rows in a process's memory at a time, how many times a step): together `batch_size`.

    Raises `InvalidInput` where these do not come out even: a step would be another.
    """
    at_a_time = micro_batch_size
    if at_a_time is None:
        at_a_time = max(1, batch_size // num_processes)
    if batch_size % (at_a_time * num_processes):
        given = "" if micro_batch_size is None else f"micro_batch_size ({micro_batch_size}) times "
        raise InvalidInput(
            f"batch_size is {batch_size}; give a multiple of {given}the {num_processes} processes "
            "that train it"
        )
    return at_a_time, batch_size // (at_a_time * num_processes)
