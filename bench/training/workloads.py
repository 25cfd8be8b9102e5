"""What is trained on: rows of a finished run, and ALFWorld's expert runs with branches."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import w2stree as w2s
from bench.core.plan import Plan
from w2stree.forest.build import build_forest
from w2stree.rows.rows import Completion, preference_rows
from w2stree.rows.tokenized import tokenize_preferences, tokenize_sft
from w2stree.training.models import (
    Architecture,
    build_model,
    load_model,
    save_model,
    train_tokenizer,
)
from w2stree.trajectories.trajectory import Message, Step, Trajectory
from w2stree.turns.chat import ChatFormat

MAX_LENGTH = 8192
_MIN_GAP = 0.1
_SMALL = Architecture(
    hidden_size=128, num_layers=2, num_heads=4, intermediate_size=384, max_length=MAX_LENGTH
)
_COMMANDS = (
    "go to RECEPTACLE, open RECEPTACLE, close RECEPTACLE, take OBJECT from RECEPTACLE, move OBJECT "
    "to RECEPTACLE, use OBJECT, heat OBJECT with RECEPTACLE, cool OBJECT with RECEPTACLE, clean "
    "OBJECT with RECEPTACLE, slice OBJECT with OBJECT, examine OBJECT, inventory, look"
)
Turns = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Workload:
    """`rows` of one kind with the task of each, and the folder of the model that learns them."""

    name: str
    rows: list[dict[str, Any]]
    tasks: list[str]
    model: str
    batch_size: int
    at_least: float | None = None

    @property
    def is_sft(self) -> bool:
        return "labels" in self.rows[0]

    @property
    def lengths(self) -> list[list[int]]:
        """Tokens of each row's sequences."""
        if self.is_sft:
            return [[len(row["input_ids"])] for row in self.rows]
        return [
            [len(row["prompt_ids"]) + len(row[f"{s}_ids"]) for s in ("chosen", "rejected")]
            for row in self.rows
        ]

    @property
    def num_tokens(self) -> int:
        return sum(map(sum, self.lengths))

    def dealt(self, num_parts: int) -> list[Workload]:
        """By whole tasks."""
        tasks = sorted(set(self.tasks))
        random.Random(0).shuffle(tasks)
        part_of = {task: i % num_parts for i, task in enumerate(tasks)}
        chosen = [
            [i for i, t in enumerate(self.tasks) if part_of[t] == p] for p in range(num_parts)
        ]
        return [
            replace(self, rows=[self.rows[i] for i in c], tasks=[self.tasks[i] for i in c])
            for c in chosen
            if c
        ]


def of(plan: Plan, folder: Path) -> Iterator[Workload]:
    if plan.run_dir is None:
        runs = _stand_in()
        yield from _of_runs("stand-in", runs, _fitted(runs, folder / "stand-in"), 32, {})
    else:
        runs = w2s.read_trajectories(plan.run_dir / "explore" / "trajectories.jsonl")
        limits = {"step": 6.0, "suffix": 5.0, "SFT": 2.3}
        yield from _of_runs("run", runs, str(plan.run_dir / "sft_strong" / "model"), 32, limits)
    if plan.alfworld is not None:
        runs = alfworld_with_branches(plan.alfworld, num_tasks=1 if plan.quick else 6)
        yield from _of_runs("ALFWorld", runs, _fitted(runs, folder / "alfworld"), 8, {})


def _of_runs(
    name: str,
    runs: Sequence[Trajectory],
    model: str,
    batch_size: int,
    at_least: dict[str, float],
) -> Iterator[Workload]:
    _, tokenizer = load_model(model)
    chat = ChatFormat(tokenizer)
    completions: tuple[Completion, ...] = ("step", "suffix")
    for completion in completions:
        found = preference_rows(build_forest(runs).pairs(_MIN_GAP), completion)
        tokenized = tokenize_preferences(found, chat, max_length=MAX_LENGTH)
        kept = [(row, pair.task_id) for row, pair in zip(tokenized, found, strict=True) if row]
        rows = [{**row, "ref_chosen_logps": 0.0, "ref_rejected_logps": 0.0} for row, _ in kept]
        tasks = [task for _, task in kept]
        yield Workload(
            f"{name}, DPO {completion}", rows, tasks, model, batch_size, at_least.get(completion)
        )
    sft = tokenize_sft(runs, chat, max_length=MAX_LENGTH)
    tasks = [t.task_id for t in sft.kept]
    yield Workload(f"{name}, SFT", list(sft.rows), tasks, model, batch_size, at_least.get("SFT"))


def _fitted(runs: Sequence[Trajectory], folder: Path) -> str:
    """A small model with random weights and a tokenizer of these runs' texts."""
    texts = [m.content for t in runs for m in t.prompt]
    texts += [text for t in runs for step in t.steps for text in (step.response, step.observation)]
    tokenizer = train_tokenizer(texts, vocab_size=1024, phrase_min_count=10**9)
    save_model(folder, build_model(_SMALL, tokenizer, seed=0), tokenizer)
    return str(folder)


def _stand_in() -> list[Trajectory]:
    """Six tasks of eight runs each."""
    actions = [f"{verb} {thing}" for verb in ("take", "open") for thing in ("box", "jar")]
    answers = [
        "Nothing happens.",
        "You see a coin in it.",
        "It is locked, and the key is not here.",
    ]
    rng = random.Random(0)
    expert = [
        [(rng.choice(actions), rng.choice(answers)) for _ in range(rng.randint(6, 10))]
        for _ in range(6)
    ]
    prompts = [
        f"Find coin {i}. " + "Look into everything before you say so. " * 5 for i in range(6)
    ]
    return _branched(prompts, expert, rng)


def alfworld_with_branches(file: Path, *, num_tasks: int) -> list[Trajectory]:
    """The longest expert runs, each with seven that leave it and fail.

    A branch takes an expert's first turns and goes on with another task's actions and their
    answers. Prompts are long as ReAct's are: the commands and three solved tasks come first.
    """
    with gzip.open(file, "rt", encoding="utf-8") as records:
        played = [json.loads(record)["gt"] for record in records]
    played = sorted((p for p in played if len(p) > 2), key=len, reverse=True)
    rng = random.Random(0)
    solved = "\n\n".join("\n".join(p) for p in rng.sample(played, 3))
    chosen = rng.sample(played[:200], num_tasks)  # the longest
    prompts = [f"Commands: {_COMMANDS}.\n\n{solved}\n\nNow the task.\n\n{p[0]}" for p in chosen]
    others = [_turns(p) for p in rng.sample(played, 40)]
    return _branched(prompts, [_turns(p) for p in chosen], rng, others)


def _turns(played: list[str]) -> Turns:
    """Observations and actions alternate, an observation first."""
    return list(zip(played[1::2], played[2::2], strict=False))


def _branched(
    prompts: Sequence[str],
    experts: Sequence[Turns],
    rng: random.Random,
    others: Sequence[Turns] | None = None,
) -> list[Trajectory]:
    runs = []
    for i, (prompt, turns) in enumerate(zip(prompts, experts, strict=True)):
        runs.append(_run(i, prompt, turns, 1.0))
        for _ in range(7):
            other = rng.choice([t for t in others or experts if t is not turns])
            kept = turns[: rng.randrange(len(turns))]
            runs.append(_run(i, prompt, kept + other[: rng.randint(3, 8)], 0.0))
    return runs


def _run(task: int, prompt: str, turns: Turns, total_return: float) -> Trajectory:
    steps = tuple(Step(action, answer, f"Action: {action}") for action, answer in turns)
    message = Message("user", prompt)
    return Trajectory(f"task-{task}", (message,), steps, total_return=total_return, status="done")
