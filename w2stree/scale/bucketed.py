"""A command over any number of runs: sort by bucket, make each bucket, and say that it is all.

    RUNS ──plan──> pieces ──calls: sort_piece──> DIR/.work/piece-000012.rows, .json
    sections of all pieces ──────────────────> .work/sections.json
                   buckets ──calls: make_bucket─> DIR/bucket=0007/FILE, .work/bucket-0007.json
                                                  DIR/manifest.json   last; then .work is removed

Every file is whole or not there, and the same whoever writes it. So a call that was lost is called
again, and a command whose process was ended goes on where it was when it is given again.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from w2stree import errors
from w2stree.errors import InvalidInput
from w2stree.forest.bucket_manifest import NAME, BucketManifest
from w2stree.forest.task_buckets import bucket_name
from w2stree.scale.engine import Engine
from w2stree.scale.jobs import Job, Record
from w2stree.scale.pieces import (
    FORMAT,
    SortedPiece,
    bucket_table,
    filled_buckets,
    is_sorted,
    keep_sections,
    kept_sections,
    sort_piece,
    sorted_pieces,
)
from w2stree.scale.plan import Plan, plan_of, refuse_changed
from w2stree.scale.totals import totals
from w2stree.shorten import visible
from w2stree.trajectories import lock
from w2stree.trajectories.replacing import replacing
from w2stree.trajectories.returns import ReturnRange

_WORK = ".work"
Told = Callable[[str, int, int], None]
"""What is done, of what: ("sorted", 3, 16)."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The manifest as it was written, and what the buckets' records say beside it."""

    manifest: BucketManifest
    records: tuple[Record, ...]


def run_buckets(
    job: Job,
    paths: Sequence[str],
    output: Path,
    engine: Engine,
    *,
    num_buckets: int | None = None,
    told: Told = lambda what, done, of: None,
) -> Finished:
    """Do the job for all runs at `paths` (`plan_of`), bucket by bucket, into a new folder.

    The same job for the same files goes on where another call was ended. Warns what the buckets
    were warned of, once for each kind. Raises `InvalidInput` for a folder that holds something else
    or is finished, for one that another process works on, for input that changes meanwhile, and
    what reading and the job raise.

    Memory here: the plan and a record a bucket. In a call: a section of rows, three to five times,
    or a bucket and what is made of it. Disk: the runs once more, packed, until it is finished.
    """
    plan = plan_of(paths, num_buckets)
    output = output.resolve()
    with _working(output, _asked(plan, job)) as work:
        todo = [piece for piece in plan.pieces if not is_sorted(work, piece)]
        given = ((str(work), piece, plan.num_buckets) for piece in todo)
        for done, _ in enumerate(engine.calls(sort_piece, given), 1):
            told("sorted", done, len(todo))
        refuse_changed(plan)
        pieces = sorted_pieces(work, plan.pieces)
        span = _span(pieces)
        buckets = filled_buckets(work, pieces, plan.num_buckets)
        left = [bucket for bucket in buckets if not _record(work, bucket).is_file()]
        keep_sections(work, pieces)
        calls = ((str(output), job, bucket, plan.num_buckets, span) for bucket in left)
        for done, _ in enumerate(engine.calls(make_bucket, calls), 1):
            told("made", done, len(left))
        records = [_read(_record(work, bucket)) for bucket in buckets]
        finished = _finish(output, job, plan, records, span)
    _warn(records)
    return finished


def make_bucket(
    output: str,
    job: Job,
    bucket: int,
    num_buckets: int,
    span: ReturnRange,
) -> None:
    """Writes what the job makes of a bucket, then its record, unless that is there."""
    work, folder = Path(output) / _WORK, Path(output) / bucket_name(bucket)
    if _record(work, bucket).is_file():
        return
    folder.mkdir(exist_ok=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = bucket_table(work, kept_sections(work), bucket, num_buckets)
        made = job.make(table, folder, span)
    record = {"bucket": bucket, **made}
    if "file" in made:
        record["file"] = f"{folder.name}/{made['file']}"
        record["bytes"] = (folder / made["file"]).stat().st_size
    told = {(one.category.__name__, str(one.message)) for one in caught}
    record["warnings"] = sorted(told)
    with replacing(_record(work, bucket)) as file:
        file.write(json.dumps(record))


def _warn(records: Sequence[Record]) -> None:
    """Once for each kind of warning, with the first bucket's words."""
    told: dict[str, list[str]] = {}
    for record in records:
        for kind, message in record["warnings"]:
            told.setdefault(kind, []).append(f"bucket {record['bucket']}: {message}")
    for kind, messages in told.items():
        more = f" (and {len(messages) - 1:,} more of other buckets)" * (len(messages) > 1)
        warnings.warn(f"{messages[0]}{more}", getattr(errors, kind, UserWarning), stacklevel=3)


def _asked(plan: Plan, job: Job) -> Record:
    asked = {"job": job.settings(), "num_buckets": plan.num_buckets, "files": plan.files}
    return _plain({**asked, "format": FORMAT, "pieces": [asdict(piece) for piece in plan.pieces]})


def _plain(record: Record) -> Record:
    found: Record = json.loads(json.dumps(record))
    return found


@contextmanager
def _working(output: Path, asked: Record) -> Iterator[Path]:
    """The folder of what is not finished, which this process alone works in."""
    work = output / _WORK
    _refuse_finished(output)
    if output.exists() and not output.is_dir():
        raise InvalidInput(f"{visible(str(output))}: is a file; name a folder")
    if output.exists() and not work.is_dir() and any(output.iterdir()):
        raise InvalidInput(f"{visible(str(output))}: holds something; give a new folder's name")
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as held:
        try:
            lock.take(held)
        except BlockingIOError:
            raise InvalidInput(
                f"{visible(str(output))}: another process works on it; wait for its end"
            ) from None
        _refuse_finished(output)  # it may have come to its end since
        plan = work / "plan.json"
        if not plan.exists():
            with replacing(plan) as file:
                file.write(json.dumps(asked))
        elif _read(plan) != asked:
            raise InvalidInput(
                f"{visible(str(output))}: holds unfinished work of another command or of "
                "another w2stree, or its input has changed: remove the folder, or name another"
            )
        yield work


def _refuse_finished(output: Path) -> None:
    if (output / NAME).exists():
        _remove_work(output)  # where it was ended between these two
        raise InvalidInput(f"{visible(str(output))}: is finished ({NAME}): name another folder")


def _remove_work(output: Path) -> None:
    """Others may be at it: who finds the folder finished removes it too."""
    shutil.rmtree(output / _WORK, ignore_errors=True)


def _finish(
    output: Path, job: Job, plan: Plan, records: list[Record], span: ReturnRange
) -> Finished:
    for left in output.glob("bucket=*/.*.partial"):  # of calls whose worker was lost
        left.unlink(missing_ok=True)
    for folder in output.glob("bucket=*"):
        if not any(folder.iterdir()):
            folder.rmdir()
    digest, counts = totals(job.kind, records, span)
    beside = {"warnings", "prompts", "tally", "outcomes", "skipped"}
    kept = [{n: v for n, v in record.items() if n not in beside} for record in records]
    manifest = BucketManifest(
        job.kind, plan.num_buckets, digest, counts, _plain(job.settings()), kept
    )
    manifest.write(output)
    _remove_work(output)
    return Finished(manifest, tuple(records))


def _span(pieces: Sequence[SortedPiece]) -> ReturnRange:
    """(0, 0) where all runs ended in an error."""
    lows = [piece.low for piece in pieces if piece.low is not None]
    highs = [piece.high for piece in pieces if piece.high is not None]
    return min(lows, default=0.0), max(highs, default=0.0)


def _record(work: Path, bucket: int) -> Path:
    return work / f"bucket-{bucket:04}.json"


def _read(path: Path) -> Record:
    found: Record = json.loads(path.read_text(encoding="utf-8"))
    return found
