"""`w2stree store`: all runs in one place, what returns in them once, every file to the byte."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from w2stree.cli.given_paths import matches, refuse_a_store, runs_at
from w2stree.cli.inputs import AsJson, Source, takes_named_runs
from w2stree.cli.progress import print_table
from w2stree.cli.say import counted, say, warn
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.store.adding import Outcome
    from w2stree.store.runs import StoredRun
    from w2stree.store.store import Store

app = typer.Typer(help="Keep all runs in one place: what returns in them once, files to the byte.")

Folder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="DIR", help="the store's folder", show_default=False)
]


@app.command()
@takes_named_runs
def add(
    source: Source,
    folder: Folder,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="files of runs, folders of them, and run directories (their explored runs)",
            show_default=False,
        ),
    ],
    unread: Annotated[
        bool,
        typer.Option(
            "--unread",
            help="take the bytes without reading the runs: faster, and nothing is refused; added "
            "again without it, they are read",
        ),
    ] = False,
) -> int:
    """Add files of runs to a store, which is made where there is none.

    Each file is read as the other commands read it, by the same options, and refused where they
    would refuse it. What is counted as added or known is on the disk.
    """
    from w2stree.store.adding import add as add_to

    for path in paths:
        refuse_a_store(Path(path), "w2stree store export writes its files, which can be added")
    at = runs_at(paths, recursive=source.recursive)
    files = [file for path in at for file in matches(path)]
    given = {} if unread else _reading(source)
    outcomes = []
    for outcome in add_to(folder, files, reads=not unread, recursive=source.recursive, **given):
        outcomes.append(outcome)
        if outcome.what == "refused":
            warn(f"w2stree: refused {visible(outcome.reason)}")
    _say_added(outcomes)
    return 2 if any(outcome.what == "refused" for outcome in outcomes) else 0


def _reading(source: Source) -> dict[str, Any]:
    return {
        "format": source.format,
        "salvage": source.salvage,
        "on_error": source.on_error,
        "choices": source.choices(),
        "one_opening": source.openings == "first",
        "limits": source.limits(),
    }


def _say_added(outcomes: list[Outcome]) -> None:
    """3 files = 2 added (812 runs, 14.2 MB) + 1 known + 0 refused"""
    of = {what: [o for o in outcomes if o.what == what] for what in ("added", "known", "refused")}
    runs = [o.num_runs for o in of["added"]]
    told = "not read" if None in runs else counted(sum(n or 0 for n in runs), "run")
    size = f"{sum(o.num_bytes for o in of['added']) / 1e6:,.1f} MB"
    added = f" ({told}, {size})" if of["added"] else ""
    if packed := sum(o.is_packed for o in of["added"]):
        warn(
            f"w2stree: {counted(packed, 'file')} packed (gzip, Zstandard, zip): kept as they are; "
            "what returns in them is found once they are unpacked"
        )
    say(
        f"{counted(len(outcomes), 'file')} = {len(of['added']):,} added{added} + "
        f"{len(of['known']):,} known + {len(of['refused']):,} refused"
    )


@app.command()
def ls(
    folder: Folder,
    sources: Annotated[bool, typer.Option("--sources", help="files rather than runs")] = False,
    task: Annotated[
        str | None, typer.Option(metavar="ID", help="of tasks whose id begins so")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="of the source by this name")
    ] = None,
    min_return: Annotated[float | None, typer.Option(metavar="R", help="of at least")] = None,
    max_return: Annotated[float | None, typer.Option(metavar="R", help="of at most")] = None,
    status: Annotated[
        str | None, typer.Option(metavar="WORD", help="done, truncated or error")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """List a store's runs: place, task, steps, return, how each ended."""
    from w2stree.store.store import Store

    with Store(folder) as store:
        if sources:
            _say_sources(store, as_json)
            return 0
        chosen = [
            run
            for run in _runs(store, source)
            if (task is None or run.task_id.startswith(task))
            and (min_return is None or run.total_return >= min_return)
            and (max_return is None or run.total_return <= max_return)
            and status in (None, run.status)
        ]
    if as_json:
        say(json.dumps([_run_record(run) for run in chosen], indent=1))
        return 0
    rows = [
        (r.place, r.task_id, f"{r.num_steps:,}", f"{r.total_return:g}", r.status) for r in chosen
    ]
    print_table(("place", "task", "steps", "return", "status"), rows, names=(0, 1, 4))
    say(f"\n{counted(len(chosen), 'run')}")
    return 0


def _runs(store: Store, name: str | None) -> Iterator[StoredRun]:
    """Of the newest sources; those that were not read are warned of."""
    chosen = [store.source(name)] if name else [s for s in store.sources() if s.is_newest]
    if unread := [s.name for s in chosen if s.num_runs is None]:
        warn(
            f"w2stree: of {counted(len(unread), 'source')} the runs are not known "
            f"({visible(unread[0])}{', …' if len(unread) > 1 else ''}): add them again without "
            "--unread"
        )
    for source in chosen:
        yield from store.runs(source)


def _run_record(run: StoredRun) -> dict[str, Any]:
    return {
        "place": run.place,
        "task_id": run.task_id,
        "num_steps": run.num_steps,
        "total_return": run.total_return,
        "status": run.status,
    }


def _say_sources(store: Store, as_json: bool) -> None:
    sources = store.sources()
    if as_json:
        records = [
            {
                "name": s.name,
                "sha256": s.digest.hex(),
                "num_bytes": s.num_bytes,
                "num_runs": s.num_runs,
                "format": s.format,
                "is_newest": s.is_newest,
            }
            for s in sources
        ]
        say(json.dumps(records, indent=1))
        return
    rows = [
        (
            s.name,
            f"{s.num_bytes:,}",
            "not read" if s.num_runs is None else f"{s.num_runs:,}",
            s.format or "-",
            s.digest.hex()[:12] + ("" if s.is_newest else " (older)"),
        )
        for s in sources
    ]
    print_table(("source", "bytes", "runs", "format", "sha256"), rows, names=(0, 3, 4))
    say(f"\n{counted(len(sources), 'source')}")


@app.command()
def export(
    folder: Folder,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="a folder; with --source, --run and --as-runs a file; - with --run: standard "
            "output",
        ),
    ],
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="one source (default: all)")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="PLACE", help="one run, NAME:LINE: its line, to the byte")
    ] = None,
    as_runs: Annotated[
        bool, typer.Option("--as-runs", help="all runs as JSON lines of ours, whatever wrote them")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="write over files that are there")] = False,
) -> int:
    """Write what a store holds: all files as they were added, one of them, or one run.

    The other commands read a store as it is: `w2stree tree DIR`.
    """
    from w2stree.store.store import Store
    from w2stree.trajectories.replacing import replacing

    if sum((source is not None, run is not None, as_runs)) > 1:
        raise InvalidInput("--source, --run and --as-runs name different things: give one")
    is_file = source is not None or run is not None or as_runs
    if is_file and str(output) != "-" and output.exists() and not force:
        raise InvalidInput(f"{output} is there: write it over with --force, or name another")
    if as_runs:
        return _export_runs(folder, output)
    with Store(folder) as store:
        if run is not None:
            record = store.record(run)
            if str(output) == "-":
                sys.stdout.buffer.write(record)
                return 0
            with replacing(output, "wb") as file:
                file.write(record)
            say(f"1 run, {len(record):,} bytes; written to {output}")
        elif source is not None:
            chosen = store.source(source)
            with replacing(output, "wb") as file:
                file.writelines(store.read(chosen))
            say(f"1 source, {chosen.num_bytes:,} bytes; written to {output}")
        else:
            files = store.export(output, force=force)
            say(f"{counted(len(files), 'source')}; written to {output}")
    return 0


def _export_runs(folder: Path, output: Path) -> int:
    from w2stree.formats.writing import write_trajectories

    runs = Source(paths=[str(folder)]).read()
    write_trajectories(output, runs.trajectories)
    say(f"{runs.account()}; written to {output}")
    return 0


@app.command()
def rm(
    folder: Folder,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="of sources (ls --sources)")],
) -> int:
    """Take sources out of a store, by name; their bytes go with gc."""
    from w2stree.store.store import remove

    gone = remove(folder, names)
    say(f"{counted(len(names), 'name')} removed, {counted(gone, 'source')} with them")
    return 0


@app.command()
def gc(folder: Folder) -> int:
    """Remove segments that no source needs, and what ended writers left."""
    from w2stree.store.store import gc as collect

    collected = collect(folder)
    say(f"{counted(collected.num_segments, 'file')} removed, {collected.num_bytes / 1e6:,.1f} MB")
    return 0


@app.command()
def check(folder: Folder) -> int:
    """Read everything, and compare it with the digests that it was added by."""
    from w2stree.store.store import Store

    with Store(folder) as store:
        sources = store.sources()
        damaged = list(store.damage())
    for source, why in damaged:
        warn(f"w2stree: {visible(source.name)}: {why}")
    say(
        f"{counted(len(sources), 'source')} = {len(sources) - len(damaged):,} as added + "
        f"{len(damaged):,} damaged"
    )
    return 2 if damaged else 0
