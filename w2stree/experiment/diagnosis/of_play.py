"""Signatures in what was played: by whom the forest was made, and what it can teach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from w2stree.experiment.diagnosis.given import EXPLORED, Given
from w2stree.experiment.diagnosis.symptom import Rule, Symptom, beyond
from w2stree.rollouts.causes import Causes
from w2stree.rollouts.contrasts import contrasts_of
from w2stree.rollouts.recombination.paths import was_cut_short
from w2stree.rollouts.tally import own_steps
from w2stree.shorten import shorten
from w2stree.trajectories.trajectory import Trajectory

_SHOWN_COLUMNS = 200

_ERRORS = 0.02
_UNPARSED = 0.1
_CUT_SHORT = 0.01
_STEP_LIMIT = 0.5
_DISTINCT = 0.5
_TASKS_WITH_PAIRS = 0.25
_SINGLE_RUNS = 0.5
_MERGED = 0.05
_LEAST_CONTRASTS = 10


def _errors(given: Given) -> list[Symptom] | None:
    def look(stage: str, runs: Sequence[Trajectory]) -> list[Symptom]:
        causes = Causes()
        for run in runs:
            if run.status == "error":
                causes.add(run)
        told = "; ".join(
            f"{cause.count}: {shorten(cause.example, _SHOWN_COLUMNS)}"
            for cause in causes.commonest()[:3]
        )
        return beyond(
            given,
            stage,
            causes.total / len(runs),
            _ERRORS,
            says=f"of the episodes ended in an error, which says nothing of their task ({told})",
            command="w2stree stats {stage}",
        )

    return _of_each(given, look)


def _without_action(given: Given) -> list[Symptom] | None:
    def look(stage: str, runs: Sequence[Trajectory]) -> list[Symptom]:
        turns = [step for run in runs for step in own_steps(run)]
        num_without = sum(not step.action for step in turns)
        return beyond(
            given,
            stage,
            num_without / max(1, len(turns)),
            _UNPARSED,
            says="of the turns have no action that can be read: the model does not keep to the "
            "form. Say it in prompt.instruction, train its SFT longer, or decode among the "
            "environment's actions (decoding.actions: admissible)",
            command="w2stree show {stage} --run worst",
        )

    return _of_each(given, look)


def _cut_short(given: Given) -> list[Symptom] | None:
    def look(stage: str, runs: Sequence[Trajectory]) -> list[Symptom]:
        causes = Counter(run.origin.truncated_by or "" for run in runs if was_cut_short(run))
        commonest = "".join(cause for cause, _ in causes.most_common(1))
        return beyond(
            given,
            stage,
            causes.total() / len(runs),
            _CUT_SHORT,
            says="of the episodes ended neither in the environment nor by its step limit, and "
            f"count as they stood then (most often: {shorten(commonest, _SHOWN_COLUMNS)}). Where "
            "the model can read no more, raise max_length, or have the environment say less",
            command="w2stree stats {stage}",
        )

    return _of_each(given, look)


def _step_limit(given: Given) -> list[Symptom] | None:
    def look(stage: str, runs: Sequence[Trajectory]) -> list[Symptom]:
        num_over = sum(r.status == "truncated" and r.origin.truncated_by is None for r in runs)
        return beyond(
            given,
            stage,
            num_over / len(runs),
            _STEP_LIMIT,
            says="of the episodes ended by the step limit: failures are mostly lost time, and "
            "nothing in them is why. Raise environment.max_steps, or explore with a better model",
            command="w2stree stats {stage}",
        )

    if EXPLORED not in given.played:
        return None
    return look(EXPLORED, given.played[EXPLORED])


def _diversity(given: Given) -> list[Symptom] | None:
    by_task: dict[str, list[tuple[str, ...]]] = {}
    for run in given.explored:
        by_task.setdefault(run.task_id, []).append(tuple(step.action for step in run.steps))
    several = [runs for runs in by_task.values() if len(runs) > 1]
    if not several:
        return None
    shares = [(len(set(runs)) - 1) / (len(runs) - 1) for runs in several]
    return beyond(
        given,
        EXPLORED,
        sum(shares) / len(shares),
        _DISTINCT,
        is_above=False,
        says="of a task's runs beyond its first took other actions than the runs before: "
        + (
            "the others are one run several times. Sample at a higher temperature "
            "(explore.samplings), and see that the server does not ignore it"
            if any(any(runs) for runs in several)
            else "no run has a step at all. See that what was read holds the agent's turns, and "
            "that episodes do not end before the first one"
        ),
        command="w2stree stats {stage}",
    )


def _few_pairs(given: Given) -> list[Symptom] | None:
    if given.forest is None:
        return None
    tasks = given.forest.tasks(success_threshold=1.0)
    share = sum(task.num_pairs > 0 for task in tasks) / len(tasks)
    return beyond(
        given,
        EXPLORED,
        share,
        _TASKS_WITH_PAIRS,
        is_above=False,
        says="of the explored tasks have runs that part by an action and differ in return: from "
        "the others no pair is made. Explore tasks that are neither too easy nor too hard, with "
        "more samplings",
        command="w2stree tasks {stage} --sort pairs",
    )


def _support(given: Given) -> list[Symptom] | None:
    if given.forest is None:
        return None
    contrasts = [
        c for task_id in given.forest.task_ids for c in contrasts_of(given.forest[task_id])
    ]
    if len(contrasts) < _LEAST_CONTRASTS:
        return None
    num_single = sum(all(side.num_trajectories == 1 for side in c.sides) for c in contrasts)
    return beyond(
        given,
        EXPLORED,
        num_single / len(contrasts),
        _SINGLE_RUNS,
        says="of the contrasts of two actions rest on one run a side: what chance did later is "
        "learned as the action's. Explore more runs a task, branch from the tree (branching), or "
        "learn by confidence (confident_dpo) or by cause (verified_dpo)",
        command="w2stree pairs {stage} --output pairs.jsonl && w2stree lint pairs.jsonl",
    )


def _sparse(given: Given) -> list[Symptom] | None:
    if given.forest is None or not any(t.num_runs > 1 for t in given.forest.tasks()):
        return None
    return beyond(
        given,
        EXPLORED,
        given.forest.summary().merge_rate,
        _MERGED,
        is_above=False,
        says="of the steps are shared with another run: every node's statistics are of one run, "
        "and searched paths are no more than that run. Merge observations that differ by a number "
        "or a date (merge.normalize_observation; lint says which)",
        command="w2stree lint {stage}",
    )


def _seen(given: Given) -> list[Symptom] | None:
    tested = {run.prompt: run.task_id for runs in given.tested.values() for run in runs}
    trained = [name for name in given.played if name in (EXPLORED, "demonstrations")]
    if not tested or not trained:
        return None
    learned = {run.prompt for name in trained for run in given.played[name]}
    seen = [task_id for prompt, task_id in tested.items() if prompt in learned]
    return beyond(
        given,
        next(stage for stage in given.played if stage.startswith("evaluate_")),
        len(seen) / len(tested),
        0.0,
        says="of the test tasks open as a task that was trained on: what is measured there was "
        f"learned ({', '.join(shorten(task, 60) for task in seen[:3])}). Take test tasks of "
        "another split (tasks.test_split)",
        command="w2stree diff {run}/explore {stage}",
    )


def _of_each(
    given: Given, look: Callable[[str, Sequence[Trajectory]], list[Symptom]]
) -> list[Symptom] | None:
    """Of the stage where it is worst, with one symptom for a cause that shows everywhere."""
    stages = [(stage, runs) for stage, runs in given.played.items() if runs]
    found = [symptom for stage, runs in stages for symptom in look(stage, runs)]
    if not stages:
        return None
    return [max(found, key=lambda symptom: symptom.measured)] if found else []


def rules() -> Iterator[Rule]:
    yield Rule(
        name="errors",
        source="error rows are no results; 2 in 100 is what retries leave of passing faults",
        look=_errors,
    )
    yield Rule(
        name="turns-without-action",
        source="an exploration warns at one half; a tenth costs a step in every short episode",
        look=_without_action,
    )
    yield Rule(
        name="cut-short",
        source="such episodes are long ones, mostly failures: 1 in 100 shifts returns",
        look=_cut_short,
    )
    yield Rule(
        name="step-limit", source="where most end so, returns measure time", look=_step_limit
    )
    yield Rule(
        name="no-diversity",
        source="a greedy sampling gives 0; half of the runs repeated is half of the budget",
        look=_diversity,
    )
    yield Rule(
        name="few-pairs",
        source="below a quarter the rows are of few tasks, and say little of others",
        look=_few_pairs,
    )
    yield Rule(
        name="thin-support",
        source="0.36 in the quickstart of before (docs/method.md, What the tree adds)",
        look=_support,
    )
    yield Rule(
        name="sparse-tree",
        source="0.0 with a running number in the answers and 0.21 without it, measured on logs",
        look=_sparse,
    )
    yield Rule(
        name="seen-test-tasks",
        source="42 of 150 test tasks of before opened as a training task (docs/method.md)",
        look=_seen,
    )
