"""What is done to run directories, as rows: states, kills, interrupts, races, disks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.faults import run_disk, run_interrupts, states_of_records, states_of_results
from bench.faults.row import Row
from bench.faults.run_states import State, try_state


def states() -> dict[str, State]:
    """Every state, by name."""
    records, results = states_of_records, states_of_results
    return {
        **dict(records.configurations()),
        **dict(records.manifests()),
        **dict(records.leftovers()),
        **dict(results.results()),
        **dict(results.links()),
        **dict(results.outside()),
        **dict(results.names()),
    }


def rows(
    folder: Path, *, every_state: int = 1, every_operation: int = 1, every_line: int = 5
) -> Iterator[Row]:
    """A row for each kind; of states, operations and lines every n-th."""
    yield _states(folder / "states", every_state)
    kills = run_interrupts.kill_at_every_operation(folder / "kills", every=every_operation)
    yield _interrupts("run directory: kill -9 at a file operation", kills)
    interrupts = run_interrupts.interrupt_at_every_line(folder / "lines", every=every_line)
    yield _interrupts("run directory: Ctrl-C at a line", interrupts)
    yield _races(folder / "races", num_rounds=max(2, 20 // every_state))
    yield _disks(folder / "disks")


def _states(folder: Path, every: int) -> Row:
    chosen = list(states().items())[::every]
    broken = [
        f"{name}: {wrong}"
        for number, (name, state) in enumerate(chosen)
        if (wrong := try_state(folder / str(number), state))
    ]
    return Row("run directory in a hostile state", len(chosen), {"wrong": len(broken)}, *broken[:1])


def _interrupts(fault: str, counts: run_interrupts.InterruptCounts) -> Row:
    wrong = {
        "results lost": counts.num_lost,
        "runs stuck": counts.num_stuck,
        "other results": counts.num_wrong,
    }
    return Row(fault, counts.num_tried, wrong)


def _races(folder: Path, num_rounds: int) -> Row:
    folder.mkdir()
    counts = run_interrupts.race(folder, num_rounds=num_rounds)
    wrong = {
        "mixed": counts.num_mixed,
        "let nobody in": counts.num_none,
        "ended otherwise": counts.num_other,
    }
    note = f"{counts.num_refused} processes refused"
    return Row("run directory entered by two at once", counts.num_tried, wrong, note)


def _disks(folder: Path) -> Row:
    folder.mkdir()
    fault = "run directory on a disk full or read-only"
    found = run_disk.try_disks(folder)
    if found is None:
        return Row(fault, 0, {}, "not tried: may not mount")
    broken = [f"{disk}: {wrong}" for disk, wrong in found.items() if wrong]
    return Row(fault, len(found), {"wrong": len(broken)}, *broken[:1])
