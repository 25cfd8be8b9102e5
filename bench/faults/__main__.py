"""python -m bench.faults: what is done to an exploration, and what it lost by it.

    python -m bench.faults [--kills 200] [--only kills,truncation,…] [--seed 0]

Prints a row for each fault as it is done: how often it was tried and what went wrong. The exit
status is 1 when anything did. `--kills` is the number of `kill -9`; everything else is always
at full scale. Needs Java and textworld-express for the kills.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.faults import (
    bad_replies,
    damage,
    disk,
    environments,
    games,
    kills,
    run_directories,
    servers,
    starts,
)
from bench.faults.row import Row

MEGABYTE = 1 << 20


def main() -> int:
    options = _arguments()
    print(f"{'fault':<44}{'tried':>12}  went wrong", flush=True)
    is_well = True
    for name in options.only:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="w2stree-faults-") as folder:
            for row in JOBS[name](Path(folder), options):
                print(row, flush=True)
                is_well &= row.is_well
        print(f"  {name}: {time.monotonic() - began:.0f} s", flush=True)
    return 0 if is_well else 1


def _kills(folder: Path, options: argparse.Namespace) -> list[Row]:
    counts = kills.kill_and_resume(folder, num_kills=options.kills, seed=options.seed, num_tasks=60)
    wrong = {
        "acknowledged episodes lost": counts.num_lost,
        "duplicated": counts.num_duplicated,
        "rows unlike the uninterrupted run's": counts.num_different,
        "orphan processes": counts.num_orphans,
    }
    note = (
        f"{counts.num_before_first} before the first episode, {counts.num_torn} left a torn frame; "
        f"{counts.num_acknowledged} acknowledged episodes checked in {counts.num_runs} runs"
    )
    return [
        Row("kill -9 of the driver", counts.num_kills, wrong, note),
        *_starts(folder, options),
    ]


def _starts(folder: Path, options: argparse.Namespace) -> list[Row]:
    """As many `kill -9` while environments start, and a tenth of that of each polite end."""
    numbers = {signal.SIGKILL: options.kills}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        numbers[number] = max(1, options.kills // 10)
    rows = []
    for number, num_ends in numbers.items():
        counts = starts.end_while_starting(
            folder, num_ends=num_ends, seed=options.seed, number=number
        )
        wrong = {"orphan processes": counts.num_orphans}
        note = f"{counts.num_before_ready} before the environments were ready"
        rows.append(Row(f"{number.name} while environments start", num_ends, wrong, note))
    return rows


def _truncation(folder: Path, options: argparse.Namespace) -> list[Row]:
    file = damage.write_sample(folder / "sample.journal", num_bytes=MEGABYTE + MEGABYTE // 4)
    tried, wrong = damage.truncations(file, last_bytes=MEGABYTE)
    reopened, reopened_wrong = damage.reopened_truncations(file, every=997)
    return [
        Row("journal cut at every byte of its last MiB", tried, {"read wrongly": wrong}),
        Row("journal cut, repaired and read back", reopened, {"read wrongly": reopened_wrong}),
    ]


def _bits(folder: Path, options: argparse.Namespace) -> list[Row]:
    file = damage.write_sample(folder / "sample.journal", num_bytes=8_000)
    counts = damage.bit_flips(file, positions=range(8 * file.stat().st_size))
    big = damage.write_sample(folder / "big.journal", num_bytes=MEGABYTE)
    drawn = np.random.default_rng(options.seed).integers(8 * big.stat().st_size, size=1_000)
    scattered = damage.bit_flips(big, positions=(int(position) for position in drawn))
    return [
        Row(name, c.num_tried, {"unnoticed": c.num_unnoticed, "others": c.num_intact_frames_lost})
        for name, c in (
            ("every bit of a small journal flipped", counts),
            ("random bits of a MiB flipped", scattered),
        )
    ]


def _disk(folder: Path, options: argparse.Namespace) -> list[Row]:
    results = {
        "file size limit (RLIMIT_FSIZE)": disk.fill_by_limit(folder, limit=MEGABYTE),
        "full file system (tmpfs)": disk.fill_file_system(folder / "small", num_bytes=2 * MEGABYTE),
    }
    return [
        Row(name, 1, {}, "not tried: may not mount")
        if r is None
        else Row(
            name,
            1,
            {
                "acknowledged episodes lost": r.num_lost,
                "torn bytes": r.num_torn_bytes,
                "writes after the error": not r.refuses_more,
                "failures once there was room": not r.goes_on_after,
            },
            f"{r.num_acknowledged} acknowledged before it",
        )
        for name, r in results.items()
    ]


def _environments(folder: Path, options: argparse.Namespace) -> list[Row]:
    return [
        Row(
            f"environment {fault}",
            counts.num_faults,
            {
                "samples missing": counts.num_missing,
                "counted as failures": counts.num_counted_as_failures,
                "rows unlike the undisturbed run's": counts.num_different,
            },
            f"{counts.num_errors} error attempts recorded, {counts.num_samples} samples",
        )
        for fault in environments.FAULTS
        for counts in [environments.disturb(folder / fault, fault, num_faults=40)]
    ]


def _answers(folder: Path, options: argparse.Namespace) -> list[Row]:
    return [*games.rows(folder), *bad_replies.rows(folder)]


def _servers(folder: Path, options: argparse.Namespace) -> list[Row]:
    return servers.rows(folder)


def _run_directories(folder: Path, options: argparse.Namespace) -> list[Row]:
    return list(run_directories.rows(folder))


JOBS: dict[str, Callable[[Path, argparse.Namespace], list[Row]]] = {
    "kills": _kills,
    "truncation": _truncation,
    "bits": _bits,
    "disk": _disk,
    "environments": _environments,
    "answers": _answers,
    "servers": _servers,
    "run_directories": _run_directories,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--kills", type=int, default=200, help="how many kill -9")
    parser.add_argument("--only", type=_jobs, default=tuple(JOBS), help="faults, with commas")
    parser.add_argument("--seed", type=int, default=0, help="of the kills' moments and the bits")
    return parser.parse_args()


def _jobs(text: str) -> tuple[str, ...]:
    jobs = tuple(text.split(","))
    for job in jobs:
        if job not in JOBS:
            raise argparse.ArgumentTypeError(f"{job!r} is not one of {', '.join(JOBS)}")
    return jobs


if __name__ == "__main__":
    sys.exit(main())
