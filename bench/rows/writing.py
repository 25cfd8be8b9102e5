"""Pairs to rows on disk, against what one would write without us, in one run.

    python -m bench.rows.writing [--tasks 40] [--runs 32] [--steps 12]

    ours            `stream_preference_rows` and `write_rows`: pairs, compared, to a file
    as before       `preference_dataset(pairs)`, then `.to_json` or `.to_parquet`
    ours, writing   the rows are there; to a file
    json            the rows are there; a careful loop: each run's messages made once, `json.dumps`
    datasets        the rows are there; each run's messages made once; `Dataset.from_list`,
                    `.to_json`, `.to_parquet`
    from records    the same of records that are there already

The files are read and compared first. Times are processor time, the best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets

import w2stree as w2s
from bench.core.timing import interleaved
from bench.equality import DifferentResultsError
from w2stree.rows.chat import Record, chat_of
from w2stree.rows.rows import PreferenceRow, preference_rows, stream_preference_rows
from w2stree.rows.writing import write_rows

_WORDS = "take open go drawer shelf the fridge apple cabinet look put clean in a you see"


def runs_of(num_tasks: int, num_runs: int, num_steps: int) -> list[w2s.Trajectory]:
    """Runs that share their first steps and then part, of household texts; returns differ."""
    draw = random.Random(0)

    def words(number: int) -> str:
        return " ".join(draw.choices(_WORDS.split(), k=number))

    def step() -> w2s.Step:
        action = f"{words(2)} {draw.randrange(20)}"
        return w2s.Step(action, words(24), f"Thought: {words(12)}\nAction: {action}")

    found = []
    for task in range(num_tasks):
        system = w2s.Message("system", "Interact with a household. " * 10)
        prompt = (system, w2s.Message("user", f"Task {task}: {words(30)}"))
        stem = [step() for _ in range(num_steps)]
        for _ in range(num_runs):
            shared = draw.randrange(num_steps - 1)
            steps = (*stem[:shared], *(step() for _ in range(num_steps - shared)))
            found.append(w2s.Trajectory(f"task {task}", prompt, steps, draw.random(), "done"))
    return found


def by_hand(path: Path, rows: list[PreferenceRow]) -> None:
    """What a careful writer would write in an afternoon."""
    with path.open("w", encoding="utf-8") as file:
        for record in _records(rows):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _records(rows: list[PreferenceRow]) -> Iterator[dict[str, Any]]:
    """Each run's messages are made once."""
    chats: dict[int, list[Record]] = {}

    def chat(run: w2s.Trajectory) -> list[Record]:
        if id(run) not in chats:
            chats[id(run)] = chat_of(run)
        return chats[id(run)]

    return (_record(row, chat) for row in rows)


def _record(row: PreferenceRow, chat: Callable[[w2s.Trajectory], list[Record]]) -> dict[str, Any]:
    chosen, rejected = chat(row.chosen), chat(row.rejected)
    begin = len(row.chosen.prompt) + 2 * row.begin
    ends = [
        len(side) - 1 if row.end is None else begin + 2 * (row.end - row.begin) - 1
        for side in (chosen, rejected)
    ]
    return {
        "prompt": chosen[:begin],
        "chosen": chosen[begin : ends[0]],
        "rejected": rejected[begin : ends[1]],
        "chosen_mask": ([1, 0] * len(chosen))[: ends[0] - begin],
        "rejected_mask": ([1, 0] * len(rejected))[: ends[1] - begin],
        "task_id": row.task_id,
        "divergence": row.divergence,
        "depth": row.begin,
        "gap": row.gap,
        "chosen_return": row.chosen_return,
        "rejected_return": row.rejected_return,
        "num_chosen": row.num_chosen,
        "num_rejected": row.num_rejected,
        "source": ["", ""],
    }


def measure(folder: Path, runs: list[w2s.Trajectory], completion: Any, budget: float) -> None:
    pairs = w2s.build_forest(runs).pairs()
    rows = list(preference_rows(pairs, completion))
    records = list(_records(rows))
    for ending in ("jsonl", "parquet"):
        kind = "json" if ending == "jsonl" else "parquet"
        files = {name: folder / f"{name}.{ending}" for name in ("ours", "hand", "datasets", "old")}

        def ours(file: Path = files["ours"]) -> None:
            blocks = stream_preference_rows(pairs, completion)
            write_rows(file, chain.from_iterable(blocks), runs=runs)

        def writing(file: Path = files["ours"]) -> None:
            write_rows(file, rows, runs=runs)

        def hand(file: Path = files["hand"]) -> None:
            by_hand(file, rows)

        def of_datasets(file: Path = files["datasets"], kind: str = kind) -> None:
            getattr(datasets.Dataset.from_list(list(_records(rows))), f"to_{kind}")(file)

        def of_records(file: Path = files["datasets"], kind: str = kind) -> None:
            getattr(datasets.Dataset.from_list(records), f"to_{kind}")(file)

        def before(file: Path = files["old"], kind: str = kind) -> None:
            getattr(w2s.preference_dataset(pairs, completion), f"to_{kind}")(file)

        works: dict[str, Callable[[], None]] = {
            "ours": ours,
            "as before": before,
            "ours, writing": writing,
            "datasets": of_datasets,
            "from records": of_records,
        }
        if ending == "jsonl":
            works["json"] = hand
        for work in works.values():
            work()
        _compare(files, kind, folder, has_hand=ending == "jsonl")
        times = interleaved(*works.values(), budget=budget)
        of = dict(zip(works, times, strict=True))
        for name, timing in of.items():
            base = of["ours"] if name in ("ours", "as before") else of["ours, writing"]
            rate = len(rows) / timing.best
            size = files["ours"].stat().st_size / len(rows)
            print(
                f"{completion:<8}{ending:<9}{name:<16}{rate:>10,.0f} rows/s"
                f"{timing.best / base.best:>8.1f}x   {len(rows):,} rows of {len(pairs):,} pairs, "
                f"{size:,.0f} bytes a row",
                flush=True,
            )


def _compare(files: dict[str, Path], kind: str, folder: Path, *, has_hand: bool) -> None:
    """Raises where two files hold different rows."""

    def read(file: Path) -> list[Any]:
        name, cache = str(file), str(folder / "cache")
        return list(datasets.load_dataset(kind, data_files=name, split="train", cache_dir=cache))

    def same(one: Any, other: Any) -> bool:
        """`to_json` of datasets writes ten digits of a number."""
        if isinstance(one, float) and kind == "json":
            return abs(one - other) < 1e-9
        return bool(one == other)

    ours = read(files["ours"])
    for name in ("datasets", "old", *(("hand",) if has_hand else ())):
        found = read(files[name])
        is_same = len(found) == len(ours) and all(
            same(one[key], value)
            for one, other in zip(ours, found, strict=True)
            for key, value in other.items()
        )
        if not is_same:
            raise DifferentResultsError(f"{kind}: rows by {name} are others than ours")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--budget", type=float, default=10.0, help="seconds for each kind of file")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    datasets.disable_progress_bars()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    runs = runs_of(options.tasks, options.runs, options.steps)
    with TemporaryDirectory() as folder:
        for completion in ("step", "suffix"):
            measure(Path(folder), runs, completion, options.budget)
    return 0


if __name__ == "__main__":
    sys.exit(main())
