"""What a launched training is given and what it leaves, in a folder that both sides see.

start/            the model as it was handed over, its tokenizer
job.json          method, optimisation, loss, seed, threads
examples.npz      ids and weights of all sequences end to end, and where each ends
progress.jsonl    a line a step, by the first process
failed-RANK.json  what a process ended of, and when
result.json       figures, steps, warnings
weights.pt        the trained weights: adapters, or all
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from w2stree.training.optimisation import Lora, Optimisation
from w2stree.training.trackers import Reporting
from w2stree.training.trees.examples import Example
from w2stree.training.trees.sequences import ScoredIds

START, JOB, EXAMPLES = "start", "job.json", "examples.npz"
PROGRESS, RESULT, WEIGHTS = "progress.jsonl", "result.json", "weights.pt"


def failed(rank: int | str) -> str:
    """The file of a process that failed; of any, with "*"."""
    return f"failed-{rank}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training on trees, but for its model and examples."""

    method: Literal["sft", "dpo"]
    optimisation: Optimisation
    loss: dict[str, Any]
    """What `train_dpo` is told beside: beta, sft_weight, reference_is_start."""
    seed: int
    num_threads: int
    """Of a process."""
    reporting: Reporting
    """The first process tells the trackers."""
    lifeline: str
    """A named pipe, which the starting process holds open for as long as it lives."""

    def write(self, folder: Path) -> None:
        (folder / JOB).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Job:
        record = json.loads((folder / JOB).read_bytes())
        given = record.pop("optimisation")
        if (lora := given.pop("lora")) is not None:
            if isinstance(lora["target_modules"], list):
                lora["target_modules"] = tuple(lora["target_modules"])
            lora = Lora(**lora)
        told = record.pop("reporting")
        reporting = Reporting(**{**told, "report_to": tuple(told["report_to"])})
        return cls(optimisation=Optimisation(lora=lora, **given), reporting=reporting, **record)


def write_examples(folder: Path, examples: Sequence[Example]) -> None:
    sequences = [s for e in examples for s in e.sequences]
    np.savez(
        folder / EXAMPLES,
        ids=np.concatenate([s.ids for s in sequences]),
        token_weight=np.concatenate([s.weight for s in sequences]),
        length=[len(s.ids) for s in sequences],
        tree=[s.tree for s in sequences],
        num_sequences=[len(e.sequences) for e in examples],
        weight=[e.weight for e in examples],
        **{
            f"{name}{what}": values
            for name in ("target", "reference")
            for what, values in _numbers([getattr(e, name) for e in examples]).items()
        },
    )


def _numbers(of_examples: Sequence[tuple[float, ...]]) -> dict[str, Any]:
    """Some have none."""
    flat = [x for numbers in of_examples for x in numbers]
    return {"": np.array(flat, np.float64), "_count": [len(numbers) for numbers in of_examples]}


def read_examples(folder: Path) -> list[Example]:
    with np.load(folder / EXAMPLES, allow_pickle=False) as file:
        column = {name: file[name] for name in file.files}
    ends = np.cumsum(column["length"])[:-1]
    ids, weights = (np.split(column[name], ends) for name in ("ids", "token_weight"))
    sequences = [ScoredIds(*s) for s in zip(ids, weights, column["tree"].tolist(), strict=True)]
    begin = np.concatenate([[0], np.cumsum(column["num_sequences"])]).tolist()
    target, reference = (
        [tuple(part.tolist()) for part in np.split(column[name], np.cumsum(count)[:-1])]
        for name, count in ((n, column[f"{n}_count"]) for n in ("target", "reference"))
    )
    return [
        Example(tuple(sequences[begin[i] : begin[i + 1]]), target[i], reference[i], weight)
        for i, weight in enumerate(column["weight"].tolist())
    ]
