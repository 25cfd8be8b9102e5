"""The stage that plays failed runs again without their steps: which of them are needed."""

from __future__ import annotations

import warnings

from w2stree.errors import ExplorationFailure, RowWarning
from w2stree.experiment.methods.failure_sft import chosen_failures
from w2stree.experiment.run_directory import StageWriter
from w2stree.experiment.run_json import read_json, write_json
from w2stree.experiment.stages.context import Context
from w2stree.rollouts.needed_steps import needed_steps

MASKS = "masks.json"
FILES = (MASKS,)


def replayed_masks(context: Context, out: StageWriter) -> None:
    """Of every failed run that `failure_sft` shows, by its place among the forest's runs, which
    steps its return rests on. Runs alike are played once.

    Raises `ExplorationFailure` where none could be played again.
    """
    section = context.config.failure_sft  # type: ignore[attr-defined]
    forest = context.forest()
    places = chosen_failures(forest, section, context.config.evaluate.success_threshold)
    runs = {
        (run.task_id, tuple(step.action for step in run.steps)): run
        for run in (forest.trajectories[i] for i in places)
    }
    budget = section.replay_budget
    playing = needed_steps(context.pool(), list(runs.values()), budget_per_run=budget)
    found = dict(
        zip(
            runs,
            context.bar(playing, total=len(runs), what="replayed_masks runs"),
            strict=True,
        )
    )
    problems = [needed.problem for needed in found.values() if needed.problem is not None]
    if problems:
        words = (
            f"replayed_masks: {len(problems)} of {len(found)} failed runs could not be played "
            f"again, and nothing of them is masked: {problems[0]}"
        )
        if len(problems) == len(found):
            raise ExplorationFailure(f"{words}; use failure_sft.mask: tree")
        warnings.warn(words, RowWarning, stacklevel=2)
    masks = {}
    for i in places:
        run = forest.trajectories[i]
        needed = found[run.task_id, tuple(step.action for step in run.steps)]
        masks[str(i)] = list(needed.steps)
    write_json(out.folder / MASKS, masks)
    out.metrics.update(
        num_replayed_runs=len(found),
        num_unplayable_runs=len(problems),
        num_untried_runs=sum(n.is_untried for n in found.values() if n.problem is None),
        num_needed_steps=sum(sum(n.steps) for n in found.values()),
        num_spared_steps=sum(n.steps.count(False) for n in found.values()),
        num_steps_spent=sum(n.num_steps_spent for n in found.values()),
    )


def read_masks(context: Context) -> dict[int, list[bool]]:
    """What the stage found: by place among the forest's runs, the needed steps."""
    record = read_json(context.folder("replayed_masks") / MASKS)
    return {int(place): steps for place, steps in record.items()}
