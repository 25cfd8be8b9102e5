"""Recombination in a world whose best paths are known: what is found, what it costs, what fails."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.storeroom import RIGHT, Storeroom, num_taken, run_of

from w2stree.environments.hosting.pool import EnvironmentPool
from w2stree.errors import InvalidInput
from w2stree.rollouts.recombination.offered import Guided
from w2stree.rollouts.recombination.paths import POLICY, Recombined, Source
from w2stree.rollouts.recombination.recombine import (
    NOT_DETERMINISTIC,
    OUT_OF_BUDGET,
    recombine,
)
from w2stree.rollouts.recombination.shortening import shorter
from w2stree.rollouts.recombination.states import Played, recorded
from w2stree.rollouts.recombination.values import Vocabulary
from w2stree.rollouts.verification import verify
from w2stree.trajectories.trajectory import Trajectory
from w2stree.turns.react import UNPARSED

CUP = ["look", "open box", "take cup", "look", "put cup in box", "take pen", "put pen in shelf"]
PEN = ["take cup", "put cup in shelf", "look", "take pen", "put pen in sink"]


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(Storeroom, 1) as pool:
        yield pool


@pytest.fixture(scope="module")
def unlisted() -> Iterator[EnvironmentPool]:
    with EnvironmentPool(functools.partial(Storeroom, lists=False), 1) as pool:
        yield pool


def runs_of(pool: EnvironmentPool, task_id: str, *scripts: list[str]) -> list[Trajectory]:
    return [run_of(pool, task_id, script, sample=i) for i, script in enumerate(scripts)]


def only(found: Iterator[Recombined]) -> Recombined:
    (one,) = found
    return one


def actions(found: Recombined) -> list[str]:
    return [step.action for step in found.trajectory.steps]


def assert_played(pool: EnvironmentPool, found: Recombined) -> None:
    assert [differences for _, differences in verify(pool, [found.trajectory])] == [[]]


@pytest.mark.parametrize("world", ["pool", "unlisted"])
def test_two_failed_runs_make_a_shortest_success(
    world: str, request: pytest.FixtureRequest
) -> None:
    pool = request.getfixturevalue(world)
    runs = runs_of(pool, "store/1", CUP, PEN)
    assert [run.total_return for run in runs] == [0.5, 0.5]
    found = only(recombine(pool, runs))
    assert found.trajectory.total_return == 1.0
    assert found.trajectory.status == "done"
    assert len(found.trajectory.steps) == 5, actions(found)
    assert found.making == "combined"
    assert (found.best_return, found.best_on_the_way) == (0.5, 0.75)
    assert found.problem is None
    assert_played(pool, found)
    for step, source in zip(found.trajectory.steps, found.sources, strict=True):
        assert runs[source.run].steps[source.step - 1].action == step.action
    assert found.trajectory.info["sources"] == [[s.run, s.step] for s in found.sources]
    assert found.trajectory.origin.policy == POLICY
    assert found.trajectory.prompt == runs[0].prompt


def test_a_run_that_fell_back_ends_at_its_best(pool: EnvironmentPool) -> None:
    run = run_of(pool, "store/1", ["take pen", "put pen in sink", "take pen", "put pen in shelf"])
    found = only(recombine(pool, [run]))
    assert actions(found) == ["take pen", "put pen in sink"]
    assert found.making == "run"
    assert (found.best_return, found.best_on_the_way, found.trajectory.total_return) == (
        0,
        0.5,
        0.5,
    )
    assert found.trajectory.status == "truncated"
    assert found.trajectory.origin.policy == "script"
    assert_played(pool, found)


def test_a_solved_task_is_shortened_only(pool: EnvironmentPool) -> None:
    solved = [*CUP, "take pen", "look", "put pen in sink"]
    runs = runs_of(pool, "store/1", PEN, solved)
    assert runs[1].status == "done"
    found = only(recombine(pool, runs))
    assert found.num_steps.keys() == {"runs", "shortening"}
    assert found.num_steps["runs"] == len(solved)
    assert found.making == "shortened"
    assert actions(found) == [
        "open box",
        "take cup",
        "put cup in box",
        "take pen",
        "put pen in sink",
    ]
    whole = only(recombine(pool, runs, shorten=False))
    assert (whole.making, whole.trajectory.steps) == ("run", runs[1].steps)
    assert whole.trajectory.origin == runs[1].origin


def test_without_combining_a_run_is_cut_and_shortened(pool: EnvironmentPool) -> None:
    runs = runs_of(pool, "store/1", CUP, PEN, ["take cup", "put cup in sink"])
    found = only(recombine(pool, runs, combine=False))
    assert found.making == "shortened"
    assert actions(found) == ["open box", "take cup", "put cup in box", "take pen"]
    assert found.trajectory.total_return == found.best_on_the_way == 0.75
    assert found.num_steps.keys() == {"runs", "shortening"}
    assert_played(pool, found)


def test_every_step_is_counted_and_the_budget_holds(pool: EnvironmentPool) -> None:
    runs = runs_of(pool, "store/1", CUP, PEN)
    for budget in (12, 13, 20, 40, 80, 300):
        before = num_taken(pool)
        found = only(recombine(pool, runs, budget_per_task=budget))
        spent = num_taken(pool) - before
        assert sum(found.num_steps.values()) == spent <= budget
        assert found.trajectory.total_return >= found.best_on_the_way
        assert_played(pool, found)


def test_a_budget_that_ends_within_the_best_run_keeps_it(pool: EnvironmentPool) -> None:
    runs = runs_of(pool, "store/1", CUP, PEN)
    found = only(recombine(pool, runs, budget_per_task=4))
    assert found.problem == OUT_OF_BUDGET
    assert found.trajectory == runs[1], "the shorter of equals"
    assert found.num_steps == {"runs": 4}


def test_runs_that_earned_nothing_stay_as_they_are(pool: EnvironmentPool) -> None:
    run = run_of(pool, "store/1", ["look", "open box", "look"])
    found = only(recombine(pool, [run, replace(run, origin=replace(run.origin, sample_index=1))]))
    assert found.trajectory.steps == run.steps
    assert (found.making, found.problem) == ("run", None)
    assert found.num_steps == {"runs": 3}


def test_nothing_depends_on_order_or_on_how_many_play(pool: EnvironmentPool) -> None:
    runs = [
        run
        for i in range(6)
        for run in runs_of(pool, f"store/{i}", CUP[: i + 2], PEN[i // 3 :], [*PEN, "look"])
    ]
    expected = [found.to_record() for found in recombine(pool, runs)]
    assert len(expected) == 6
    shuffled = [run for run in reversed(runs) if run.task_id != "store/0"] + runs[2::-1]
    with EnvironmentPool(Storeroom, 3) as others:
        again = {one.trajectory.task_id: one.to_record() for one in recombine(others, shuffled)}
    assert [again[record["task_id"]] for record in expected] == expected


def test_a_failing_environment_costs_its_task_nothing_but_the_gain(pool: EnvironmentPool) -> None:
    good = runs_of(pool, "store/1", CUP, PEN)
    jammed = [replace(run, task_id="jammed") for run in runs_of(pool, "store/2", CUP, PEN)]
    prompt = replace(jammed[0].prompt[0], content="jammed: a cup and a pen lie here.")
    jammed = [replace(run, prompt=(prompt,)) for run in jammed]
    found = list(recombine(pool, [*jammed, *good]))
    assert found[0].problem is not None
    assert "its process ended (exit status 1)" in found[0].problem
    assert found[0].trajectory == jammed[1]
    assert (found[1].problem, found[1].trajectory.total_return) == (None, 1.0)


def test_an_environment_that_answers_otherwise_is_found_out(pool: EnvironmentPool) -> None:
    moody = runs_of(pool, "moody", CUP, PEN)
    other = replace(run_of(pool, "store/1", PEN), total_return=0.25)
    opened = run_of(pool, "store/2", PEN)
    longer = run_of(pool, "store/3", [*CUP, "take pen", "put pen in sink"])
    longer = replace(longer, steps=(*longer.steps, longer.steps[0]))
    for runs in (moody, [other], [replace(opened, task_id="store/4")], [longer]):
        found = only(recombine(pool, runs))
        assert found.problem == NOT_DETERMINISTIC
        assert found.trajectory in runs


def test_an_environment_that_changes_in_between_is_found_out(pool: EnvironmentPool) -> None:
    """Looking at `moody` says another number each time: its first look is as recorded here."""
    number = num_taken(pool)
    run = run_of(pool, "moody", ["take pen", "look", "put pen in sink", "take cup"])
    steps = list(run.steps)
    steps[1] = replace(steps[1], observation=f"You look {number + 4 + 2}.")
    run = replace(run, steps=tuple(steps))
    found = only(recombine(pool, [run]))
    assert found.num_steps["runs"] == 4
    assert found.problem in (None, NOT_DETERMINISTIC)
    if found.problem is None:
        assert "look" not in actions(found), "what is kept does not depend on it"


def test_errors_are_no_runs(pool: EnvironmentPool) -> None:
    run = run_of(pool, "store/1", PEN)
    broken = replace(run, status="error", origin=replace(run.origin, error="it died"))
    assert list(recombine(pool, [broken])) == []
    assert only(recombine(pool, [broken, run])).trajectory.total_return > 0


def test_a_budget_of_nothing_is_refused(pool: EnvironmentPool) -> None:
    with pytest.raises(InvalidInput, match="budget_per_task is 0; give at least 1 step"):
        recombine(pool, [], budget_per_task=0)


def test_what_no_run_took_is_tried_where_all_is(pool: EnvironmentPool) -> None:
    """No run opened the box: among what runs took there is no success."""
    runs = runs_of(pool, "store/1", PEN, ["take cup", "put cup in sink", "look"])
    seen = only(recombine(pool, runs))
    assert seen.trajectory.total_return == 0.75
    before = num_taken(pool)
    found = only(recombine(pool, runs, actions="all"))
    assert sum(found.num_steps.values()) == num_taken(pool) - before <= 600
    assert (found.trajectory.total_return, found.trajectory.status) == (1.0, "done")
    assert len(found.trajectory.steps) == 5, actions(found)
    assert found.making == "extended"
    assert found.num_steps["runs"] == len(PEN), "the other run counts as it was recorded"
    assert_played(pool, found)
    sources = dict(zip(actions(found), found.sources, strict=True))
    assert sources["open box"] is sources["put cup in box"] is None
    assert sources["take cup"] is not None
    assert found.trajectory.info["sources"] == [
        source and [source.run, source.step] for source in found.sources
    ]
    said = {step.action: step.response for step in found.trajectory.steps}
    assert said["open box"] == "Action: open box"
    record = json.loads(json.dumps(found.to_record()))
    assert Recombined.from_record(record, found.trajectory) == found


@pytest.mark.parametrize("world", ["pool", "unlisted"])
def test_what_runs_took_is_tried_too_where_all_is(
    world: str, request: pytest.FixtureRequest
) -> None:
    pool = request.getfixturevalue(world)
    found = only(recombine(pool, runs_of(pool, "store/1", CUP, PEN), actions="all"))
    assert (found.trajectory.total_return, found.making) == (1.0, "combined")
    assert_played(pool, found)


def test_the_runs_say_what_to_try_first(pool: EnvironmentPool) -> None:
    runs = runs_of(pool, "store/1", ["take pen", "look", "put pen in sink", "look"])
    guided = Guided("store/1", Vocabulary([recorded(run) for run in runs]))
    played = Played(pool[0], "store/1", budget=100)
    worth = {action: guided.worth_at(played.root, action) for action in guided.at(played.root)}
    assert worth == {"take pen": 0.25, "open box": 0.0, "take cup": 0.0, "look": 0.125}
    after = played.step(played.step(played.root, "take pen"), "put pen in sink")
    assert guided.worth_at(after, "take pen") == 0.0, "it is earned"


def test_all_of_nothing_is_refused(pool: EnvironmentPool) -> None:
    with pytest.raises(InvalidInput, match="without combine nothing is searched"):
        recombine(pool, [], combine=False, actions="all")


def test_other_actions_are_refused(pool: EnvironmentPool) -> None:
    wrong: Any = "every"
    with pytest.raises(InvalidInput, match="actions is 'every'; use seen or all"):
        recombine(pool, [], actions=wrong)


def test_words_are_those_whose_history_agrees_longest(pool: EnvironmentPool) -> None:
    runs = [
        run_of(pool, "store/1", ["look", "take pen", "put pen in sink"], thought="late"),
        run_of(pool, "store/1", ["take pen", "put pen in shelf"], sample=1, thought="early"),
    ]
    found = only(recombine(pool, runs))
    assert actions(found) == ["take pen", "put pen in sink"]
    assert [step.response for step in found.trajectory.steps] == [
        "Thought: early 0\nAction: take pen",
        "Thought: late 2\nAction: put pen in sink",
    ]
    assert found.sources == (Source(1, 1), Source(0, 3))


def test_ids_stay_with_the_run_that_sampled_them(pool: EnvironmentPool) -> None:
    def sampled(run: Trajectory) -> Trajectory:
        steps = [replace(step, token_ids=(1, 2), logprobs=(-1.0, -2.0)) for step in run.steps]
        return replace(run, steps=tuple(steps), origin=replace(run.origin, tokenizer="abc"))

    cut = sampled(run_of(pool, "store/1", ["take pen", "put pen in sink", "look"]))
    found = only(recombine(pool, [cut])).trajectory
    assert found.steps == cut.steps[:2]
    assert found.origin.tokenizer == "abc"
    runs = [sampled(run) for run in runs_of(pool, "store/1", CUP, PEN)]
    found = only(recombine(pool, runs)).trajectory
    assert all(step.token_ids is None and step.logprobs is None for step in found.steps)
    assert found.origin.tokenizer is None


def test_a_turn_without_an_action_is_played_as_it_was(pool: EnvironmentPool) -> None:
    run = run_of(pool, "store/1", ["", *PEN, *CUP[:5], "take cup", "put cup in box"])
    assert run.status == "done"
    mumbled = replace(run.steps[0], observation=UNPARSED, response="Hm.")
    run = replace(run, steps=(mumbled, *run.steps[1:]))
    found = only(recombine(pool, [run], shorten=False))
    assert found.trajectory.steps == run.steps
    assert "" not in actions(only(recombine(pool, [run])))


def test_wordless_steps_get_words(pool: EnvironmentPool) -> None:
    run = run_of(pool, "store/1", ["look", "take pen", "put pen in sink"])
    run = replace(run, steps=tuple(replace(step, response="") for step in run.steps))
    found = only(recombine(pool, [run])).trajectory
    assert [step.response for step in found.steps] == [
        "Action: take pen",
        "Action: put pen in sink",
    ]


def test_a_record_is_read_back(pool: EnvironmentPool) -> None:
    for found in recombine(pool, runs_of(pool, "store/1", CUP, PEN)):
        record = json.loads(json.dumps(found.to_record()))
        assert Recombined.from_record(record, found.trajectory) == found


ACTIONS = st.sampled_from(
    [
        *("look", "open box", ""),
        *(f"take {thing}" for thing in RIGHT),
        *(f"put {thing} in {place}" for thing in RIGHT for place in ("box", "shelf", "sink")),
    ]
)
SCRIPTS = st.lists(st.lists(ACTIONS, min_size=1, max_size=14), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(scripts=SCRIPTS, budget=st.integers(14, 150))
def test_a_path_is_as_good_as_any_run_ever_was(
    pool: EnvironmentPool, scripts: Sequence[list[str]], budget: int
) -> None:
    found = only(recombine(pool, runs_of(pool, "store/1", *scripts), budget_per_task=budget))
    assert found.problem is None
    assert sum(found.num_steps.values()) <= budget
    assert_played(pool, found)
    assert found.trajectory.total_return >= found.best_on_the_way >= found.best_return


@settings(max_examples=25, deadline=None)
@given(scripts=SCRIPTS, budget=st.integers(14, 150))
def test_a_path_of_all_actions_is_as_good_as_the_best_run(
    pool: EnvironmentPool, scripts: Sequence[list[str]], budget: int
) -> None:
    runs = runs_of(pool, "store/1", *scripts)
    found = only(recombine(pool, runs, budget_per_task=budget, actions="all"))
    assert found.problem is None
    assert sum(found.num_steps.values()) <= budget
    assert_played(pool, found)
    assert found.trajectory.total_return >= found.best_on_the_way >= found.best_return
    taken = {step.action for run in runs for step in run.steps}
    assert (found.making == "extended") == (set(actions(found)) - taken != set())


@settings(max_examples=25, deadline=None)
@given(script=st.lists(ACTIONS, min_size=1, max_size=14))
def test_shortening_never_lowers_a_return(pool: EnvironmentPool, script: list[str]) -> None:
    played = Played(pool[0], "store/1", budget=10_000)
    state = played.root
    for action in script:
        if not state.is_over:
            state = played.step(state, action)
    vocabulary = Vocabulary([state.way()])
    before = state
    for less in shorter(played, state, vocabulary):
        assert less.depth < before.depth
        assert less.score >= state.score
        assert less.is_terminated or not state.is_terminated
        before = less
    again = run_of(pool, "store/1", list(before.actions()))
    assert again.total_return == before.score >= state.score


def test_a_shortened_path_can_spare_no_step(pool: EnvironmentPool) -> None:
    found = only(recombine(pool, runs_of(pool, "store/1", CUP, PEN))).trajectory
    for i in range(len(found.steps)):
        rest = [step.action for step in (*found.steps[:i], *found.steps[i + 1 :])]
        assert run_of(pool, "store/1", rest).total_return < found.total_return
