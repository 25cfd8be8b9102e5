"""What a command by buckets takes, measured and modelled.

    python -m bench.scale measure --steps 1e6 --command tree >> MEASURED.jsonl
    python -m bench.scale model MEASURED.jsonl       what was predicted of what, and of 1e10 steps
    python -m bench.scale looks                      seconds of a look into a piece, for the model

`measure` makes runs of so many steps, then forests or pairs of them in a process of its own, by
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
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    measured = commands.add_parser("measure", help="runs of so many steps, by a command")
    measured.add_argument("--steps", type=float, default=1e5)
    measured.add_argument("--command", choices=["tree", "pairs"], default="tree")
    measured.add_argument("--order", choices=["tasks", "shuffled"], default="shuffled")
    measured.add_argument("--buckets", type=int)
    measured.add_argument("--dir", type=Path, help="work here: may be given again after an end")
    measured.add_argument("--in", dest="folder", type=Path, help="of the process that is measured")
    measured.set_defaults(call=_measure)
    modelled = commands.add_parser("model", help="fitted to small inputs, compared with all")
    modelled.add_argument("measured", type=Path)
    modelled.add_argument("--fit-to", type=float, default=1e7, help="steps of the largest that is")
    modelled.add_argument("--look-s", type=float, default=4e-5)
    modelled.add_argument("--bucket", type=float, default=250_000, help="steps of a usual one")
    modelled.add_argument("--steps", type=float, nargs="+", default=[1e8, 1e9, 1e10])
    modelled.add_argument("--larger", type=int, default=16, help="buckets, beside the usual ones")
    modelled.add_argument("--together", type=float, default=20, help="rows of a task, beside 1")
    modelled.set_defaults(call=_model)
    looked = commands.add_parser("looks", help="into pieces that have none of a bucket's rows")
    looked.set_defaults(call=_looks)
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


def _model(given: argparse.Namespace) -> None:
    from bench.scale.cost_model import CostModel
    from bench.scale.cost_table import compared, predicted
    from bench.scale.measured import measurement_of

    lines = given.measured.read_text().splitlines()
    measured = [measurement_of(line) for line in lines]
    small = [one for one in measured if one.steps <= given.fit_to]
    for command in sorted({one.command for one in small}):
        of_command = [one for one in measured if one.command == command]
        model = CostModel.fitted(small, command, given.look_s, given.bucket)
        print(f"\n{command}, fitted to {len(small)} inputs of {given.fit_to:,.0f} steps at most\n")
        print("\n".join(compared(model, of_command)))
        print()
        print("\n".join(predicted(model, given.steps, given.larger, given.together)))


def _looks(given: argparse.Namespace) -> None:
    from bench.scale.looks import seconds_of_a_look

    with TemporaryDirectory() as folder:
        print(f"{seconds_of_a_look(Path(folder)) * 1e6:.0f} us of the processor")


if __name__ == "__main__":
    main()
