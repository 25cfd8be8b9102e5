"""The cells of a call: what each asks of a machine, and what becomes of a lost one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic")

from support.small_experiments import small, treasure_world

from w2stree.experiment.grid.cells import Cell, Unit
from w2stree.experiment.grid.demand import Demand, demand_of
from w2stree.experiment.grid.local_runner import LocalRunner
from w2stree.experiment.grid.plan import Plan, read_plan
from w2stree.experiment.grid.results import Results, made_from
from w2stree.experiment.grid.work import Work


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    treasure_world(tmp_path)
    bias = {"methods": ["sft_weak", "sft_strong"]}
    methods = ["random", "sft_weak", "mcts_sft"]
    return read_plan(small(tmp_path, methods=methods, seeds=1, analyses={"bias": bias}))


class Tries(LocalRunner):
    """As on a cluster."""

    tries = 3


def work_of(plan: Plan, folder: Path, said: list[tuple[Unit, str, Any]]) -> Work:
    results = Results(folder / "results")
    work = Work(plan, folder / "runs", results, Tries(), lambda *told: said.append(told), told)
    work.add(plan.chosen())
    return work


def told(done: int, total: int, seconds_left: float | None) -> None:
    assert 0 <= done <= total


def test_a_lost_cell_is_the_next_to_be_run_and_fails_at_the_last_loss(
    plan: Plan, tmp_path: Path
) -> None:
    said: list[tuple[Unit, str, Any]] = []
    work = work_of(plan, tmp_path, said)
    first = work.take()
    assert first is not None
    assert work.take() is None, "all are of one run directory"
    for _ in range(2):
        work.hear(first, {"lost": "gpu7: out of memory"})
        assert work.take() == first
    work.hear(first, {"lost": "gpu7: out of memory"})
    assert work.failed == [first]
    assert [kind for _, kind, _ in said] == ["warning", "warning", "failed"]
    failure = work.results.failure(first)
    assert failure == "its worker was lost 3 times, the last time so: gpu7: out of memory"
    following = work.take()
    assert following not in (None, first)


def test_what_is_lost_when_no_more_is_begun_is_left(plan: Plan, tmp_path: Path) -> None:
    work = work_of(plan, tmp_path, [])
    first = work.take()
    assert first is not None
    work.end()
    work.hear(first, {"lost": "gone"})
    assert work.take() is None
    assert first in work.pending


def test_one_that_does_not_fit_is_passed_over(plan: Plan, tmp_path: Path) -> None:
    work = work_of(plan, tmp_path, [])
    first, second, *_ = plan.chosen()
    assert work.take(lambda unit: unit != first) == second


def test_a_cell_asks_for_its_threads_and_with_a_model_for_a_gpu(plan: Plan) -> None:
    random, weak, mcts, bias = plan.chosen()
    config = plan.config(weak)
    assert demand_of(random, config, on_gpus=True) == Demand(1, 0)
    assert [demand_of(u, config, on_gpus=True) for u in (weak, mcts, bias)] == [Demand(1, 1)] * 3
    assert demand_of(weak, config, on_gpus=False) == Demand(1, 0)
    many = config.model_validate(
        {**config.model_dump(), "num_threads": 4, "launch": {"num_processes": 2}}
    )
    assert demand_of(weak, many, on_gpus=True) == Demand(8, 2)
    assert str(Demand(8, 2)) == "8 cores and 2 GPUs"
    assert str(Demand(1, 0)) == "1 core"


def test_a_machine_has_room_for_whole_cells(plan: Plan) -> None:
    assert Demand(4, 1).places({"CPU": 16.0, "GPU": 2.0}) == 2
    assert Demand(4, 1).places({"CPU": 7.0, "GPU": 2.0}) == 1
    assert Demand(4, 1).places({"CPU": 16.0}) == 0
    assert Demand(4, 0).places({"CPU": 16.0, "GPU": 1.0}) == 4
    assert Demand(1, 0).places({}) == 0


def cell_of(plan: Plan, variant: str) -> Cell:
    (cell,) = [cell for cell in plan.cells() if cell.variant == variant]
    return cell


def weak_result(plan: Plan, cell: Cell) -> dict[str, Any]:
    """As `run_cell` makes it."""
    config, world = plan.config(cell), plan.worlds["treasure"]
    panel = {"num_tasks": 1, "num_successes": 1.0, "num_errors": 0, "mean_steps": 3.0}
    return {
        "tasks": "0f" * 6,
        "success_threshold": 1.0,
        "panels": {"test": {**panel, "returns": [1.0]}},
        **made_from(config, world, ["weak", "tasks"]),
        "training": {"num_steps": 2.0},
        "seconds": 9.0,
        "stages": {"sft_weak": {"seconds": 9.0}},
        "versions": {"python": "3.11"},
    }


def plan_of(folder: Path, name: str, variants: dict[str, Any]) -> Plan:
    treasure_world(folder)
    return read_plan(small(folder, name=name, methods=["sft_weak"], seeds=1, variants=variants))


def added(plan: Plan, results: Results) -> tuple[Work, list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []

    def announce(unit: Unit, kind: str, what: Any) -> None:
        said.append((str(unit), str(what)))

    work = Work(plan, results.folder / "runs", results, Tries(), announce, told)
    work.add(plan.chosen())
    return work, said


def test_the_result_of_an_equal_cell_is_taken_and_says_whose_it_is(tmp_path: Path) -> None:
    first = plan_of(tmp_path, "first", {"base": {}, "long": {"max_length": 900}})
    wide = {"mcts_sft.min_return": 0.5}  # which the weak model's stages do not read
    second = plan_of(tmp_path, "second", {"wide": wide, "long": {"weak.sft.num_epochs": 9.0}})
    results = Results(tmp_path / "results" / "first")
    base = cell_of(first, "base")
    results.keep_config(base, first.config(base))
    results.write(base, weak_result(first, base), {"tasks": "0f" * 6, "test": ["a"]})

    own, said = added(first, results)
    assert own.pending == [], "of another variant, whose change its stages do not read"
    assert said == [("treasure long seed 0 sft_weak", "the result of first/treasure/base")]

    there = Results(tmp_path / "results" / "second")
    work, said = added(second, there)
    assert said == [("treasure wide seed 0 sft_weak", "the result of first/treasure/base")]
    assert [unit.variant for unit in work.pending] == ["long"], "its epochs are others"
    taken = there.read(cell_of(second, "wide"))
    assert taken is not None
    assert taken.record["taken_from"] == "first/treasure/base"
    assert taken.record["changes"] == {"mcts_sft.min_return": 0.5}
    assert taken.record["variant"] == "wide"
    assert taken.listed_tasks() == {"tasks": "0f" * 6, "test": ["a"]}
    before = taken.path.read_bytes()
    assert added(second, there)[1] == [], "it is its own now"
    assert taken.path.read_bytes() == before


def test_what_cannot_be_read_elsewhere_is_passed_over(tmp_path: Path) -> None:
    first, second = (plan_of(tmp_path, name, {"base": {}}) for name in ("first", "second"))
    results = Results(tmp_path / "results" / "first")
    base = cell_of(first, "base")
    record = weak_result(first, base)
    path = results.write(base, record, {"tasks": "0f" * 6, "test": ["a"]})
    listed = tmp_path / "results" / "first" / "treasure" / f"tasks-{'0f' * 6}.json"
    results.keep_config(base, first.config(base))
    (kept,) = listed.parent.glob("config-*.json")
    harms: tuple[Callable[[], Any], ...] = (
        lambda: path.write_text("{"),
        lambda: path.write_text(json.dumps(json.loads(path.read_text()) | {"tasks": "../../x"})),
        listed.unlink,
        lambda: listed.write_text("{"),
        lambda: listed.write_text("[1, 2]"),
        lambda: listed.write_text('{"tasks": "another"}'),
        lambda: [
            path.write_text(json.dumps(json.loads(path.read_text()) | {"config_read": "x"})),
            kept.write_text("{"),
        ],
    )
    for harm in harms:
        harm()
        work, said = added(second, Results(tmp_path / "results" / "second"))
        assert (len(work.pending), said) == (1, [])
        listed.unlink(missing_ok=True)
        results.write(base, record, {"tasks": "0f" * 6, "test": ["a"]})
    work, said = added(second, Results(tmp_path / "results" / "second"))
    assert (len(work.pending), len(said)) == (0, 1)


def test_a_result_that_is_deleted_does_not_come_back_from_its_copy(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "first", {"base": {}, "long": {"max_length": 900}})
    results = Results(tmp_path / "results" / "first")
    base = cell_of(plan, "base")
    results.keep_config(base, plan.config(base))
    path = results.write(base, weak_result(plan, base), {"tasks": "0f" * 6, "test": ["a"]})
    assert added(plan, results)[0].pending == []
    path.unlink()
    assert added(plan, results)[0].pending == [base]


def test_what_is_to_be_redone_is_not_taken(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "first", {"base": {}, "long": {"max_length": 900}})
    results = Results(tmp_path / "results" / "first")
    base = cell_of(plan, "base")
    results.write(base, weak_result(plan, base), {"tasks": "0f" * 6, "test": ["a"]})
    work = Work(plan, tmp_path / "runs", results, Tries(), lambda *told: None, told, redo=True)
    work.add(plan.chosen())
    assert work.pending == [cell_of(plan, "long")]
