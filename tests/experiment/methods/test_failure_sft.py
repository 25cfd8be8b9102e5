"""Failed runs without their harmful steps: which runs are shown, which steps are learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from support.recorded_fitting import RecordedFitting
from support.tiny_models import BAD, GOOD, WORSE

from w2stree.errors import InvalidInput
from w2stree.experiment.config import load_config
from w2stree.experiment.methods import best_of_m, failure_sft
from w2stree.experiment.methods.method import Explored
from w2stree.experiment.stage_graph import stages
from w2stree.experiment.stages.context import Context
from w2stree.forest.build import build_forest
from w2stree.rows.harmful import Harm
from w2stree.training.optimisation import Optimisation
from w2stree.trajectories.trajectory import Message, Trajectory

pytestmark = pytest.mark.train
ONCE = Optimisation(num_epochs=1, learning_rate=1e-3)


def _elsewhere(run: Trajectory) -> Trajectory:
    return replace(run, task_id="task-2", prompt=(Message("user", "Serve it."),))


LOST = _elsewhere(
    replace(BAD, steps=(*BAD.steps[:2], replace(BAD.steps[2], reward=-0.5)), total_return=0.5)
)
AGAIN = replace(WORSE, steps=(*WORSE.steps, WORSE.steps[1]))
RUNS = [BAD, GOOD, GOOD, _elsewhere(AGAIN), LOST, _elsewhere(BAD)]


def shown(**settings: Any) -> dict[str, Any]:
    fitting = RecordedFitting()
    section = failure_sft.FailureSftSection(**{"optimisation": ONCE, **settings})
    trained = failure_sft.train(
        forest=build_forest(RUNS),
        start=lambda: "strong",
        demonstrations=[WORSE],
        section=section,
        fitting=fitting,  # type: ignore[arg-type]
    )
    assert fitting.asked["start"] == "strong"
    fitting.asked["metrics"] = trained.metrics
    return fitting.asked


def test_the_best_runs_are_shown_and_the_harmful_steps_of_failures_masked() -> None:
    asked = shown(harm=Harm(signs=("loss", "loop")))
    assert asked["trajectories"] == [GOOD, LOST, WORSE]
    assert asked["learned"] == [[True] * 3, [True, True, False], [True] * 2]
    assert asked["metrics"] == {
        "num_shown_successes": 1,
        "num_shown_failures": 1,
        "num_learned_failed_steps": 2,
        "num_masked_failed_steps": 1,
        "num_steps": 1.0,
    }


def test_a_success_is_learned_whole_whatever_speaks_against_its_steps() -> None:
    asked = shown(runs="all", with_demonstrations=False, harm=Harm(shrinkage=0.0))
    learned = dict(zip(map(id, asked["trajectories"]), asked["learned"], strict=True))
    assert learned[id(GOOD)] == [True] * 3
    assert learned[id(BAD)] == [True, False, True]  # chop carrot, where GOOD sliced it
    assert learned[id(RUNS[3])] == [True, False, False]  # below by value; then said again


@pytest.mark.parametrize(("runs", "count"), [("best", 2), ("distinct", 4), ("all", 6)])
def test_which_runs(runs: str, count: int) -> None:
    asked = shown(runs=runs, with_demonstrations=False, mask="none")
    assert len(asked["trajectories"]) == count
    assert all(all(learned) for learned in asked["learned"])
    figures = failure_sft.describe(
        Explored(build_forest(RUNS), [], 1.0),
        section=failure_sft.FailureSftSection(runs=runs, mask="none", optimisation=ONCE),  # type: ignore[arg-type]
        seed=0,
    )
    assert figures == {k: v for k, v in asked["metrics"].items() if k != "num_steps"}


def test_masks_that_were_played_take_the_place_of_those_of_the_tree() -> None:
    section = failure_sft.FailureSftSection(mask="replay", optimisation=ONCE)
    forest = build_forest(RUNS)
    places = failure_sft.chosen_failures(forest, section, 1.0)
    assert [forest.trajectories[i] for i in places] == [LOST]
    fitting = RecordedFitting()
    failure_sft.train(
        forest=forest,
        start=lambda: ("model", "tokenizer"),
        demonstrations=[],
        section=section,
        fitting=fitting,  # type: ignore[arg-type]
        needed={places[0]: [False, True, False]},
    )
    assert fitting.asked["learned"] == [[True] * 3, [False, True, False]]


@pytest.mark.parametrize("mask", ["tree", "replay", "none"])
def test_failures_are_played_again_only_where_that_is_asked_for(mask: str) -> None:
    given = f"failure_sft={{mask: {mask}, optimisation: {{num_steps: 1, learning_rate: 1}}}}"
    context = Context(load_config("miniature", [given]), Path("nowhere"))
    specs = {spec.name: spec for spec, _ in stages(context)}
    assert ("replayed_masks" in specs) is (mask == "replay")
    assert ("replayed_masks" in specs["failure_sft"].needs) is (mask == "replay")
    if mask == "replay":  # more test tasks play no failure again
        assert specs["replayed_masks"].needs == ("explore", "tree")


def test_failures_of_a_method_that_is_not_run_are_not_played_again() -> None:
    context = Context(load_config("miniature"), Path("nowhere"))
    with pytest.raises(InvalidInput, match="there is no stage replayed_masks"):
        stages(context, also=["replayed_masks"])


def test_successes_alone_are_best_of_m() -> None:
    kept = best_of_m.kept_runs(RUNS, best_of_m.BestOfMSection(optimisation=ONCE), 1.0)
    assert shown(min_return=1.0, with_demonstrations=False)["trajectories"] == kept


def test_nothing_left_and_unknown_signs_are_said() -> None:
    with pytest.raises(InvalidInput, match=r"failure_sft\.min_return 1\.0 leaves none of 1 runs"):
        failure_sft.train(
            forest=build_forest([BAD]),
            start=lambda: ("model", "tokenizer"),
            demonstrations=[],
            section=failure_sft.FailureSftSection(min_return=1.0, optimisation=ONCE),
            fitting=RecordedFitting(),  # type: ignore[arg-type]
        )
    given = "failure_sft={optimisation: {num_steps: 1, learning_rate: 1}, harm: {signs: [luck]}}"
    with pytest.raises(InvalidInput, match=r"failure_sft\.harm\.signs"):
        load_config("miniature", [given])
