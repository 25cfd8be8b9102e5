"""The stage that measures causes: the weak model plays on from both actions of each contrast.

trajectories.jsonl    the continuations, each with the way to its action: runs of the weak model too
contrasts.jsonl       a line for each contrast: its actions, the returns, the interval, the verdict
divergence_cause.json what it comes to, by gap, depth and support; divergence_cause.txt: as a table
"""

from __future__ import annotations

import functools
import json
import time
import warnings
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from w2stree.errors import InvalidInput, RunDirectoryError, SamplesUnfinished
from w2stree.experiment.analyses.divergence_cause import (
    FIGURES_FILE,
    TABLE_FILE,
    divergence_cause,
    table,
)
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import write_json
from w2stree.experiment.stages.context import Context
from w2stree.experiment.stages.journals import journal_of, outlived
from w2stree.experiment.stages.play import record
from w2stree.experiment.stages.players import Players
from w2stree.forest.forest import Forest
from w2stree.rollouts.continuations import Continuations, Measured, Verdict
from w2stree.rollouts.contrasts import choose_contrasts, contrast_at
from w2stree.rollouts.paired_looks import Look
from w2stree.trajectories.journal import Journal
from w2stree.trajectories.json_text import parse_json

CONTRASTS_FILE = "contrasts.jsonl"
FILES = ("trajectories.jsonl", CONTRASTS_FILE, FIGURES_FILE, TABLE_FILE)


def continuations(context: Context, out: StageWriter) -> None:
    """Measure the contrasts of the configuration; kept in a journal until the stage is complete.

    Warns `SamplesUnfinished` where continuations ended in errors alone.
    """
    section = context.config.continuations
    seed = context.seed("continuations")
    forest = context.forest()
    chosen = choose_contrasts(forest, order=section.order, per_task=section.per_task, seed=seed)
    if not chosen:
        raise InvalidInput(
            "continuations: in no tree do two actions differ in mean return: there is nothing to "
            "measure; explore more tasks, or with more samplings"
        )
    started = time.perf_counter()
    with (
        closing(Players(context)) as players,
        Journal(journal_of(context, out, "continuations")) as journal,
        context.bar.steps("continuations episodes") as update,
    ):
        found = Continuations(
            forest,
            chosen,
            section.test,
            journal=journal,
            pool=context.pool(),
            policy=functools.partial(players.of, "weak"),
            sampling=section.sampling,
            seed=seed,
            instruction=context.config.prompt.instruction,
            budget=section.budget,
            max_attempts=context.config.explore.max_attempts,
            progress=lambda state: update(state.num_settled, state.num_planned, {}),
        ).play()
    seconds = time.perf_counter() - started
    if words := found.outcome.in_words("explore.max_attempts"):
        warnings.warn("\n".join(["continuations:", *words]), SamplesUnfinished, stacklevel=2)
    record(out, found.trajectories)
    with (out.folder / CONTRASTS_FILE).open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(_record(measured))}\n" for measured in found.measured)
    figures = divergence_cause(found.measured, section.test)
    write_json(out.folder / FIGURES_FILE, figures)
    (out.folder / TABLE_FILE).write_text(table(figures), encoding="utf-8")
    verdicts = Counter(measured.verdict for measured in found.measured)
    out.metrics.update(
        {f"num_{verdict}": verdicts[verdict] for verdict in get_args(Verdict)},
        num_contrasts=len(chosen),
        num_measured=len(found.measured),
        num_environment_steps=found.num_environment_steps,
        num_turns=found.num_turns,
        is_budget_spent=found.spent is not None,
        generated_tokens_per_s=players.num_generated_tokens / seconds,
    )
    out.outlived += outlived(context.run_dir, "continuations")


def measured_contrasts(context: Context) -> list[Measured]:
    """What the stage measured, in the order it was chosen."""
    return read_contrasts(context.folder("continuations") / CONTRASTS_FILE, context.forest())


def read_contrasts(path: Path, forest: Forest) -> list[Measured]:
    """The contrasts of a file of the stage; `forest` is the one that they were chosen in, with its
    trajectories. Raises `RunDirectoryError` naming the line that is of another forest, or none of
    ours."""
    with path.open(encoding="utf-8") as file:
        lines = list(file)
    found = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        try:
            found.append(_parsed(parse_json(line, where), forest))
        except (InvalidInput, KeyError, TypeError, ValueError) as error:
            raise RunDirectoryError(
                f"{where}: no contrast of this run's forest, as the stage writes them ({error}); "
                "redo it with --force continuations"
            ) from None
    return found


def _record(measured: Measured) -> dict[str, Any]:
    return {
        **asdict(measured.contrast),
        "gap": measured.contrast.gap,
        "support": measured.contrast.support,
        "verdict": measured.verdict,
        "look": None if measured.look is None else asdict(measured.look),
        "returns": measured.returns,
    }


def _parsed(record: dict[str, Any], forest: Forest) -> Measured:
    contrast = contrast_at(
        forest, record["node"], record["better"]["action"], record["other"]["action"]
    )
    if record["verdict"] not in get_args(Verdict):
        raise ValueError(f"verdict is {record['verdict']!r}")
    better, other = (tuple(map(float, returns)) for returns in record["returns"])
    look = record["look"]
    return Measured(contrast, (better, other), look and Look(**look), record["verdict"])
