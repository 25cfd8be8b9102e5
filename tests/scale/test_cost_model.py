"""What a command by buckets costs: what is measured, and that a fit finds what it was made from."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import w2stree as w2s
from bench.scale.cost_model import CostModel, Shape, shape_of
from bench.scale.cost_table import compared, predicted
from bench.scale.generated import STEPS_OF_A_BLOCK, make_input
from bench.scale.measured import Case, Command, Measurement, Phase, measure

NOTHING = Phase(calls=1, cpu_s=0.0, wall_s=0.0, read=0, written=0, peak=0)


def test_measures_what_a_command_did(tmp_path: Path) -> None:
    make_input(tmp_path / "runs", 3 * STEPS_OF_A_BLOCK, "shuffled")
    expected = w2s.build_forest(w2s.read_trajectories(tmp_path / "runs"))
    case = Case(3 * STEPS_OF_A_BLOCK, "tree", "shuffled", 5)
    # A process of its own: the peak of this one is that of whatever tests ran before.
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        found = fresh.submit(measure, case, tmp_path).result()
    assert w2s.open_forest(tmp_path / "out").digest() == expected.digest()
    assert (found.runs, found.tasks, found.nodes) == (1_200, 60, expected.num_nodes)
    assert (found.sections, found.fragments, found.sort.calls, found.make.calls) == (1, 5, 1, 5)
    assert 0 < found.work <= found.sort.written
    assert found.output == sum(f.stat().st_size for f in (tmp_path / "out").rglob("*.*"))
    assert min(found.sort.cpu_s, found.make.cpu_s) > 0
    assert found.peak >= found.at_start > 0


def test_blocks_share_no_text_but_actions(tmp_path: Path) -> None:
    for name, blocks in (("one", 1), ("two", 2)):
        make_input(tmp_path / name, blocks * STEPS_OF_A_BLOCK, "tasks")
    one, two = (w2s.build_forest(w2s.read_trajectories(tmp_path / n)) for n in ("one", "two"))
    assert two.num_nodes == 2 * one.num_nodes
    assert len(two) == 2 * len(one)


@pytest.mark.parametrize("command", ["tree", "pairs"])
def test_a_first_call_loads_nothing_more(tmp_path: Path, command: Command) -> None:
    """It would be taken for what the runs cost: half a second of a process, once."""
    make_input(tmp_path / "runs", STEPS_OF_A_BLOCK, "tasks")
    program = f"""
import sys
import bench.scale.measured as measured
def before(*given, run=measured.run_buckets, **also):
    global modules
    modules = set(sys.modules)
    return run(*given, **also)
measured.run_buckets = before
case = measured.Case({STEPS_OF_A_BLOCK}, "{command}", "tasks", 1)
measured.measure(case, measured.Path(sys.argv[1]))
print(sorted(set(sys.modules) - modules))
"""
    words = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)]
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run(words, check=True, capture_output=True, text=True, cwd=root).stdout
    assert told == "[]\n"


def made_by(model: CostModel, shape: Shape) -> Measurement:
    """What would be measured if the model were true."""
    cost = model.cost(shape)
    return Measurement(
        steps=int(shape.steps),
        command="tree",
        order="shuffled",
        num_buckets=int(shape.buckets),
        runs=int(shape.steps) // 25,
        tasks=0,
        nodes=0,
        rows=0,
        sections=int(shape.sections),
        fragments=int(shape.fragments),
        input=0,
        work=round(cost.work),
        output=round(cost.output),
        at_start=0,
        sort=replace(NOTHING, calls=int(shape.pieces), cpu_s=cost.sort_s, peak=100_000),
        make=replace(
            NOTHING,
            calls=int(shape.filled),
            cpu_s=cost.make_s + cost.looks_s,
            peak=round(cost.memory),
        ),
        rest_cpu_s=0.0,
        rest_peak=0,
        wall_s=0.0,
        load=0.0,
    )


def test_a_fit_finds_the_costs_that_measurements_were_made_from() -> None:
    import numpy as np

    truth = CostModel(
        sort=np.array([2e-6, 3e-4]),
        make=np.array([1e-6, 1e-4, 2e-3]),
        work=np.array([48.0, 200.0]),
        output=np.array([114.0, 900.0]),
        memory=np.array([2.7e8, 500.0]),
        sort_memory=1e5,
        look_s=4e-5,
        sections_per_step=6e-6,
        pieces_per_step=4e-6,
        rows_of_a_section=7_000.0,
        steps_per_bucket=250_000.0,
    )
    shapes = [
        Shape(1e5, 1, 1, 1, 1, 1),
        Shape(1e6, 4, 6, 24, 4, 4),
        Shape(1e6, 4, 6, 2_000, 40_000, 1_500),
        Shape(1e7, 40, 60, 2_400, 40, 40),
    ]
    measured = [made_by(truth, shape) for shape in shapes]
    fitted = CostModel.fitted(measured, "tree", look_s=4e-5, steps_per_bucket=250_000.0)
    larger = Shape(1e8, 400, 600, 240_000, 400, 400)
    found, expected = fitted.cost(larger), truth.cost(larger)
    for name in ("sort_s", "make_s", "looks_s", "work", "output", "memory"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-4), name
    assert shape_of(measured[2]) == shapes[2]
    assert fitted.shape(1e8).buckets == 400
    assert len([*compared(fitted, measured)]) == 2 + len(measured)
    assert len([*predicted(fitted, [1e8, 1e10], 16, 20.0)]) == 2 + 8


def test_fragments_are_never_more_than_rows_nor_than_sections_times_buckets() -> None:
    import numpy as np

    model = CostModel(
        *(np.zeros(n) for n in (2, 3, 2, 2, 2)), 0.0, 0.0, 6e-6, 4e-6, 7_000.0, 250_000.0
    )
    for buckets in (1.0, 40.0, 40_000.0, 1e7):
        shape = model.shape(1e10, buckets)
        assert 0 < shape.fragments <= min(shape.sections * buckets, shape.sections * 7_000) * 1.001
    assert model.shape(1e10, 1.0).fragments == pytest.approx(60_000)
    side_by_side = model.shape(1e10, 1e7, together=20.0).fragments
    assert side_by_side == pytest.approx(60_000 * 7_000 / 20, rel=1e-4)
