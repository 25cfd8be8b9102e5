"""`--engine`: a command over tables of any size, bucket by bucket, here or on a cluster.

w2stree pairs runs/ --engine ray -o DIR/
                     │            └─ bucket=0007/rows.parquet, manifest.json
                     └─ local: this process;  ray: one of its own, or RAY_ADDRESS;  ray://ADDRESS
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from w2stree.cli.extra import needs
from w2stree.cli.given_paths import refuse_a_store
from w2stree.cli.inputs import Source
from w2stree.cli.left_out import ERRED, errors_left_out
from w2stree.cli.parameters import whole_number
from w2stree.cli.ray_address import ray_address
from w2stree.cli.say import balance, counted, warn
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.scale.bucketed import Finished
    from w2stree.scale.engine import Engine
    from w2stree.scale.jobs import Job

EngineName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="local|ray[://ADDRESS]",
        help="work bucket by bucket, in bounded memory, on Parquet tables of ours: in this "
        "process, or on Ray (docs/scale.md)",
        show_default=False,
    ),
]
Buckets: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--buckets",
        parser=whole_number(at_least=1),
        metavar="N",
        help="of --engine: so many (default: one for each 64 MiB of runs in memory)",
        show_default=False,
    ),
]
Folder: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        help="of --engine: the new folder for buckets and manifest",
        show_default=False,
    ),
]


def refuse_without_engine(given: Mapping[str, object]) -> None:
    """Raises `InvalidInput` for an option that only an engine has."""
    for option, value in given.items():
        if value is not None:
            raise InvalidInput(f"{option} is of --engine: give --engine local or --engine ray")


def run_on_engine(
    engine: str,
    job: Job,
    source: Source,
    output: Path | None,
    buckets: int | None,
    not_there: Mapping[str, object],
) -> Finished:
    """The job over all tables at the source's paths. `not_there`: options that no engine has, each
    with what was given, None or False where it was not. Raises `InvalidInput` for them, for ways of
    reading that are of other files than ours, and what `run_buckets` raises."""
    for option, value in not_there.items():
        if value is not None and value is not False:
            raise InvalidInput(f"{option} is not there with --engine, which works bucket by bucket")
    if output is None:
        raise InvalidInput("--engine writes a folder of buckets: give -o DIR")
    told = [w for w in source.at().typed() if w.startswith("--") and w != "--openings"]
    if told or source.openings == "first":
        option = told[0] if told else "--openings first"
        raise InvalidInput(
            f"{option} is not there with --engine, which reads tables of runs: w2stree convert "
            "takes it, and writes one (.parquet)"
        )
    for path in source.paths:
        way = f"w2stree convert {shlex.quote(path)} -o runs.parquet, then give that"
        refuse_a_store(Path(path), way)
    with needs("arrow"):
        from w2stree.scale.bucketed import run_buckets
    with _engine(engine) as opened:
        return run_buckets(job, source.paths, output, opened, num_buckets=buckets, told=_progress())


@contextmanager
def _engine(name: str) -> Iterator[Engine]:
    if name == "local":
        from w2stree.scale.engine import LocalEngine

        yield LocalEngine()
        return
    address = ray_address(name, known="local, ray or ray://ADDRESS")
    with needs("ray"):
        from w2stree.scale.ray_engine import ray_engine
    with ray_engine(address) as opened:
        yield opened


def _progress() -> Any:
    """Ten lines a phase, on standard error."""
    shown: Counter[str] = Counter()

    def told(what: str, done: int, of: int) -> None:
        if done * 10 // of > shown[what]:
            shown[what] = done * 10 // of
            things = "pieces" if what == "sorted" else "buckets"
            warn(f"w2stree: {what} {done:,} of {of:,} {things}")

    return told


def told_buckets(finished: Finished, output: Path) -> str:
    """Where it is, and by which digest it is known again."""
    manifest = finished.manifest
    num_files = sum("file" in entry for entry in manifest.buckets)
    return (
        f"{visible(str(output))}: {counted(num_files, 'file')} in "
        f"{counted(manifest.num_buckets, 'bucket')}, digest {manifest.digest}"
    )


def account_of(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Of all runs that were read: how many were used, and why the others were not."""
    skipped = {
        "read before": counts["num_repeated"],
        ERRED: counts["num_errors"],
    }
    num_read = counts["num_runs"] + counts["num_repeated"]
    return {
        "num_read": num_read,
        "num_used": num_read - sum(skipped.values()),
        "skipped": {reason: count for reason, count in skipped.items() if count},
    }


def told_account(account: Mapping[str, Any]) -> str:
    """2,002 runs read = 1,990 used + 12 skipped (12 ended in an error)"""
    read, used = f"{counted(account['num_read'], 'run')} read", f"{account['num_used']:,} used"
    return balance(read, used, account["skipped"])


def rows_told(finished: Finished, output: Path, unit: str) -> list[str]:
    """What became of rows. Raises `InvalidInput` where there are none."""
    counts = finished.manifest.counts
    skipped = counts["skipped"]
    if not counts["num_rows"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
        raise InvalidInput(
            f"{visible(str(output))}: finished, and there are no rows: {reasons or 'no pairs'}"
            f"{errors_left_out(counts['num_errors'], '', {})}"
        )
    total = counts["num_rows"] + sum(skipped.values())
    return [
        told_buckets(finished, output),
        balance(counted(total, unit), f"{counts['num_rows']:,} rows", skipped),
        told_account(account_of(counts)),
    ]


def warn_of_shared_prompts(records: Iterable[Mapping[str, Any]]) -> None:
    """Of tasks that are asked alike and have several ids: their rows were compared bucket by
    bucket."""
    counts = Counter(prompt for record in records for prompt in record.get("prompts", ()))
    if num_shared := sum(count > 1 for count in counts.values()):
        warn(
            f"w2stree: warning: {counted(num_shared, 'prompt')} of tasks with several ids in "
            "several buckets: rows that read alike are not one there, as without --engine; give "
            "tasks that are asked alike one id"
        )
