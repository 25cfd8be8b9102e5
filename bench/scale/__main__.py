"""`python -m bench.scale measure --steps 1e6 --command tree`: what a command takes by buckets.

Makes runs of so many steps, then forests or pairs of them in a process of its own, by
`--engine local`'s calls; prints a line of JSON. With `--dir DIR` what was ended goes on in the same
folder, which is removed at the end.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    commands = parser.add_subparsers(required=True)
    measured = commands.add_parser("measure", help="runs of so many steps, by a command")
    measured.add_argument("--steps", type=float, default=1e5)
    measured.add_argument("--command", choices=["tree", "pairs"], default="tree")
    measured.add_argument("--order", choices=["tasks", "shuffled"], default="shuffled")
    measured.add_argument("--buckets", type=int)
    measured.add_argument("--dir", type=Path, help="work here: may be given again after an end")
    measured.add_argument("--in", dest="folder", type=Path, help="of the process that is measured")
    measured.set_defaults(call=_measure)
    given = parser.parse_args()
    given.call(given)


def _measure(given: argparse.Namespace) -> None:
    if given.folder is not None:
        from bench.scale.measured import Case, measure

        case = Case(int(given.steps), given.command, given.order, given.buckets)
        print(json.dumps(asdict(measure(case, given.folder))))
    elif given.dir is not None:
        given.dir.mkdir(parents=True, exist_ok=True)
        _measure_in(given.dir, given)
        shutil.rmtree(given.dir)
    else:
        with TemporaryDirectory() as folder:
            _measure_in(Path(folder), given)


def _measure_in(folder: Path, given: argparse.Namespace) -> None:
    from bench.scale.generated import make_input

    make_input(folder / "runs", int(given.steps), given.order)
    words = ["measure", "--in", str(folder), "--steps", str(given.steps)]
    words += ["--command", given.command, "--order", given.order]
    words += ["--buckets", str(given.buckets)] if given.buckets else []
    subprocess.run([sys.executable, "-W", "ignore", "-m", "bench.scale", *words], check=True)


if __name__ == "__main__":
    main()
