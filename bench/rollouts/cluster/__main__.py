"""Exploration on a cluster, on paper. JOURNAL is the episodes.journal of `w2stree explore`.

python -m bench.rollouts.cluster costs JOURNAL      what a driver takes in, and Ray's messages, here
python -m bench.rollouts.cluster simulate JOURNAL   1 to 1,000 workers, by the journal's own times

python -m bench.rollouts.cluster try                the simulation beside two machines of Ray

The same seed gives the same table. With `--turn-s` an episode takes what its environment took, and
so many seconds of a policy a turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.rollouts.cluster.recorded import drawn, recorded
from bench.rollouts.cluster.simulation import Costs, Told, simulate
from w2stree.trajectories.journal import Journal, read_journal

_COMMITS = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.rollouts.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    costs = commands.add_parser("costs")
    costs.add_argument("journal", type=Path)
    costs.set_defaults(call=_costs)
    simulated = commands.add_parser("simulate")
    simulated.add_argument("journal", type=Path)
    simulated.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100, 1000])
    simulated.add_argument("--side-by-side", type=int, default=8, help="episodes of a worker")
    simulated.add_argument("--per-slot", type=int, default=32, help="episodes of a slot")
    simulated.add_argument("--episodes", type=int, help="of all slots together, instead")
    simulated.add_argument("--turn-s", type=float, help="of a policy, in place of the recorded")
    simulated.add_argument("--seed", type=int, default=0)
    for field in fields(Costs):
        option = f"--{field.name}-s"
        simulated.add_argument(option, dest=field.name, type=float, default=field.default)
    simulated.set_defaults(call=_simulate)
    compared = commands.add_parser("try")
    compared.add_argument("--side-by-side", type=int, default=4)
    compared.add_argument("--per-slot", type=int, default=8)
    compared.set_defaults(call=_try)
    given = parser.parse_args()
    given.call(given)


def _costs(given: argparse.Namespace) -> None:
    from bench.rollouts.cluster.driver import driver_rate
    from bench.rollouts.cluster.messages import messages
    from w2stree.rollouts.cluster.connection import connected

    warnings.simplefilter("ignore")  # all tasks are played alike
    print("the driver, its processor's time")
    for num_tasks, num_samples in ((10, 360), (3_600, 1)):
        with TemporaryDirectory() as folder:
            rate = driver_rate(
                given.journal,
                Path(folder),
                num_tasks=num_tasks,
                num_samples=num_samples,
                num_workers=20,
            )
        print(
            f"  {num_tasks:5,} tasks: {rate.cpu_s / rate.num_episodes * 1e6:,.0f} us an episode, "
            f"{rate.num_bytes / rate.cpu_s / 1e6:.1f} MB/s, "
            f"{rate.cpu_s / rate.num_bytes * 1e9:.0f} ns a byte",
            flush=True,
        )
    print(f"an episode on a worker's disk: {_sync_seconds(given.journal) * 1e3:.1f} ms", flush=True)
    with connected(None):
        for waited in (10, 1_000):
            found = messages(num_calls=200, num_waited=waited)
            print(
                f"Ray, {waited:5,} answers waited for: round trip {found.round_trip * 1e3:.1f} ms, "
                f"an answer {found.answer_cpu * 1e3:.2f} ms, "
                f"a look {found.look_cpu * 1e6:.1f} us for each",
                flush=True,
            )


def _sync_seconds(journal: Path) -> float:
    """The median of a commit of one episode, by the clock."""
    taken = []
    with TemporaryDirectory() as folder, Journal(Path(folder) / "own.journal") as own:
        for run in read_journal(journal).trajectories[:_COMMITS]:
            own.append(run)
            begin = time.monotonic()
            own.commit()
            taken.append(time.monotonic() - begin)
    return statistics.median(taken)


def _simulate(given: argparse.Namespace) -> None:
    episodes = recorded(given.journal, turn_s=given.turn_s)
    costs = Costs(**{field.name: getattr(given, field.name) for field in fields(Costs)})
    seconds = [episode.seconds for episode in episodes]
    mean, deviation = statistics.mean(seconds), statistics.pstdev(seconds)
    num_bytes = statistics.mean(episode.num_bytes for episode in episodes)
    print(
        f"{len(episodes)} recorded episodes: {mean:.2f} s (deviation {deviation / mean:.2f} of it, "
        f"longest {max(seconds):.1f} s), {num_bytes:,.0f} bytes each"
    )
    print(
        "| workers | episodes | hours | ideal | loss | waited | between | tail | driver busy "
        "| journal, kB/s | leases |"
    )
    print("|--:" * 11 + "|")
    for num_workers in given.workers:
        num_slots = num_workers * given.side_by_side
        count = given.episodes or given.per_slot * num_slots
        told = simulate(
            drawn(episodes, count, given.seed),
            num_workers=num_workers,
            side_by_side=given.side_by_side,
            costs=costs,
        )
        print(_row(num_workers, count, told), flush=True)


def _row(num_workers: int, count: int, told: Told) -> str:
    shares = [told.loss, *map(told.share, (told.waited, told.between, told.tail))]
    return " | ".join(
        [
            f"| {num_workers:,}",
            f"{count:,}",
            f"{told.seconds / 3600:.3f}",
            f"{told.ideal / 3600:.3f}",
            *(f"{100 * share:.1f} %" for share in shares),
            f"{100 * told.driver / told.seconds:.1f} %",
            f"{told.num_bytes / told.seconds / 1e3:,.1f}",
            f"{told.num_leases:,} |",
        ]
    )


def _try(given: argparse.Namespace) -> None:
    sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests"))
    from support.ray_cluster import two_machines

    from bench.rollouts.cluster.tried import tried

    with two_machines() as cluster, TemporaryDirectory() as folder:
        compared = tried(
            cluster.address,
            Path(folder),
            side_by_side=given.side_by_side,
            per_slot=given.per_slot,
        )
    print(compared)


if __name__ == "__main__":
    main()
