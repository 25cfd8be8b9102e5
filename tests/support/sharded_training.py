"""`support.tree_training` under FSDP on a CPU: `python -m support.sharded_training OUT METHOD …`.

accelerate shards on accelerators alone: here it is told that processes on a CPU are on GPUs. What
is sharded, gathered and computed is torch's own, by gloo.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from peft import LoraConfig
from support.tree_training import trainer

from w2stree.training.launched.worker import gathered

_made = PartialState.__init__


def _on_gpus(self: PartialState, *args: Any, **options: Any) -> None:
    _made(self, *args, **options)
    if PartialState._shared_state.get("distributed_type") == DistributedType.MULTI_CPU:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


def adapters() -> LoraConfig:
    return LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")


def main(out: Path, method: str, options: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    PartialState.__init__ = _on_gpus  # type: ignore[method-assign]
    peft_config = adapters() if options.pop("lora") else None
    made = trainer(method, out, peft_config=peft_config, **options)
    made.train()
    assert type(made.model).__name__.startswith("FSDP"), type(made.model)
    weights = gathered(made)
    if made.is_world_process_zero():
        torch.save(weights, out / "weights.pt")
    made.accelerator.wait_for_everyone()
    made.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
