"""Workloads as texts: what an agent said and what the environment answered, 10 to 80 characters.

Every call makes new string objects, as a reader of JSON lines does: a text that occurs often is
equal to the others, not the same object, and its hash is not known yet.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bench.core.workloads import NUM_ACTIONS, NUM_OBSERVATIONS, Workload

_VOCABULARY = (
    "go to take open close put look examine the a red blue old wooden key door drawer shelf "
    "kitchen hallway cabinet garden lamp coin you see is now empty locked closed there are "
    "some on in from with search click buy back result price page"
)

Rows = tuple[list[str], list[list[str]], list[list[str]], list[float]]


@dataclass(frozen=True, slots=True)
class Texts:
    """A workload as one JSON document."""

    document: str

    @staticmethod
    def of(workload: Workload) -> Texts:
        action = _sentences(NUM_ACTIONS, seed=11, longest=40)
        observation = _sentences(NUM_OBSERVATIONS, seed=12, longest=80)
        task, actions, observations, total_return = workload.rows()
        return Texts(
            json.dumps(
                (
                    [f"task-{t}" for t in task],
                    [[action[i] for i in row] for row in actions],
                    [[observation[i] for i in row] for row in observations],
                    total_return,
                )
            )
        )

    def rows(self) -> Rows:
        """New lists of new strings: task_id, actions, observations, total_return."""
        task_id, actions, observations, total_return = json.loads(self.document)
        return task_id, actions, observations, total_return


def arrow_table(texts: Texts) -> Any:
    """The same as a pyarrow table, one row a trajectory."""
    import pyarrow as pa

    task_id, actions, observations, total_return = texts.rows()
    texts_type = pa.list_(pa.large_string())
    return pa.table(
        {
            "task_id": pa.array(task_id, pa.string()),
            "actions": pa.array(actions, texts_type),
            "observations": pa.array(observations, texts_type),
            "total_return": pa.array(total_return, pa.float64()),
        }
    )


@cache
def _sentences(count: int, *, seed: int, longest: int) -> list[str]:
    """Distinct texts of 10 to `longest` characters that begin alike, as real ones do."""
    rng = np.random.default_rng(seed)
    vocabulary = _VOCABULARY.split()
    length = rng.integers(10, longest + 1, count)
    words = rng.integers(0, len(vocabulary), (count, 20))
    number = [f"{i}" for i in range(count)]
    sentences = []
    for i in range(count):
        sentence = " ".join(vocabulary[w] for w in words[i])
        sentences.append(f"{sentence[: length[i] - len(number[i]) - 1]} {number[i]}")
    return sentences
