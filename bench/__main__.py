"""python -m bench: how fast the core is, against what else there is, in one run.

    python -m bench [--only build,search] [--json FILE] [--quick]
    python -m bench --only io
    python -m bench --only training [--run-dir RUN_DIR] [--alfworld FILE.jsonl.gz]

Results are asserted equal before anything is timed. Times are processor time, the best of
several rounds (the median in brackets), ours and the baseline's taken in turn on one thread.
`--quick` takes under two minutes on small workloads and claims nothing. The exit status is 1
when results differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from bench.core import table
from bench.core.plan import Plan
from bench.equality import DifferentResultsError

CORE_JOBS = ("build", "strings", "search", "pairs", "states", "packs", "memory", "scaling", "floor")
JOBS = (*CORE_JOBS, "io", "training")  # asked for by name; training takes half an hour


def main() -> int:
    options = _arguments()
    plan = Plan(options.quick, options.run_dir, options.alfworld, options.rounds)
    machine = _machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(table.HEADER, flush=True)
    rows: list[table.Row] = []
    failures: list[str] = []
    start = time.perf_counter()
    for job in options.only:
        try:
            for row in _module(job).rows(plan):
                print(table.line(row), flush=True)
                rows.append(row)
        except DifferentResultsError as difference:
            failures.append(str(difference))
            print(f"{job:<8} RESULTS DIFFER: {difference}", flush=True)
    _print_verdict(rows, failures, time.perf_counter() - start)
    if options.json:
        document = {
            "machine": machine,
            "quick": plan.quick,
            "load_at_end": os.getloadavg()[0],
            "different_results": failures,
            "rows": [table.as_json(row) for row in rows],
        }
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=_jobs, default=CORE_JOBS, help="jobs, separated by commas")
    parser.add_argument("--json", type=Path, help="write the rows to this file as well")
    parser.add_argument("--run-dir", type=Path, help="training: a finished run's rows and models")
    parser.add_argument("--alfworld", type=Path, help="training: expert runs, train.jsonl.gz")
    parser.add_argument(
        "--rounds",
        type=int,
        choices=(1, 2, 3),
        default=3,
        help="training: a third of the tasks each",
    )
    parser.add_argument("--quick", action="store_true", help="small workloads, no claims")
    return parser.parse_args()


def _module(job: str) -> Any:
    return import_module(f"bench.core.jobs.{job}" if job in CORE_JOBS else f"bench.{job}")


def _jobs(text: str) -> tuple[str, ...]:
    jobs = tuple(text.split(","))
    for job in jobs:
        if job not in JOBS:
            raise argparse.ArgumentTypeError(f"{job!r} is not one of {', '.join(JOBS)}")
    return jobs


def _machine() -> dict[str, Any]:
    return {
        "CPU": _cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "Python": platform.python_version(),
        "NumPy": np.__version__,
    }


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for row in cpuinfo.read_text().splitlines():
            if row.startswith("model name"):
                return row.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _print_verdict(rows: list[table.Row], failures: list[str], seconds: float) -> None:
    verdicts = [row.is_ok for row in rows]
    print(
        f"{verdicts.count(True)} limits met, {verdicts.count(False)} missed, "
        f"{len(failures)} results differ; {seconds:.0f} s, load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
