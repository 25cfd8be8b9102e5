"""Run directories in hostile states, killed, interrupted, raced: `python -m bench.faults --only
run_directories` tries all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.faults import run_disk, run_interrupts
from bench.faults.run_directories import states
from bench.faults.run_states import State, try_state


@pytest.mark.parametrize("state", list(states().values())[::3], ids=list(states())[::3])
def test_a_state_is_refused_by_name_or_comes_out_right(tmp_path: Path, state: State) -> None:
    assert try_state(tmp_path, state) == ""


def test_a_kill_at_any_operation_loses_no_result(tmp_path: Path) -> None:
    counts = run_interrupts.kill_at_every_operation(tmp_path / "run", every=23)
    assert counts.num_tried >= 15
    assert (counts.num_lost, counts.num_stuck, counts.num_wrong) == (0, 0, 0)


def test_what_a_kill_left_beside_a_manifest_is_no_output(tmp_path: Path) -> None:
    """The one moment of a kill at which the manifest named its own half-written successor."""
    (state,) = (s for name, s in states().items() if name.startswith("killed while the hashes"))
    assert try_state(tmp_path, state) == ""


# Between the opening of a file and its `with` an interrupt leaves the closing to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_any_line_loses_no_result(tmp_path: Path) -> None:
    counts = run_interrupts.interrupt_at_every_line(tmp_path / "run", every=211)
    assert counts.num_tried >= 15
    assert (counts.num_lost, counts.num_stuck, counts.num_wrong) == (0, 0, 0)


def test_of_two_that_enter_at_once_one_plays(tmp_path: Path) -> None:
    counts = run_interrupts.race(tmp_path, num_rounds=2)
    assert (counts.num_mixed, counts.num_none, counts.num_other) == (0, 0, 0)


def test_a_disk_that_is_full_or_read_only(tmp_path: Path) -> None:
    found = run_disk.try_disks(tmp_path)
    if found is None:
        pytest.skip("may not mount")
    assert set(found.values()) == {""}
