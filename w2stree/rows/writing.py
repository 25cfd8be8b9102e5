"""Rows on disk, in the layout that a trainer reads, split by task.

rows ── shown ──┬─ refused: counted, by reason
                ├─ of a task held out ──> rows.test.jsonl │ DIR/data/test.parquet
                └─ the others ──────────> rows.jsonl      │ DIR/data/train.parquet, DIR/README.md
"""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from w2stree.errors import InvalidInput
from w2stree.rows.columns import AnyRow, Kind, Shown, Sources, kind_of, runs_of
from w2stree.rows.dataset_folder import Contents, describe, making
from w2stree.rows.holdout import hold_out, refuse_no_share
from w2stree.rows.presets import KINDS, Layout, preset_of
from w2stree.rows.remarks import Remarks
from w2stree.rows.row_writers import ENDINGS, Write, writing
from w2stree.rows.shown import shown_rows
from w2stree.trajectories.trajectory import Message, Trajectory

Task = tuple[Message, ...]
"""What the agent is asked."""


@dataclass(frozen=True, slots=True)
class WrittenRows:
    """What was written, and what was not."""

    kind: Kind
    files: dict[Path, int]
    """The rows of each: first those to train on, then those held out, where there are any."""
    skipped: dict[str, int]
    """Rows that the trainer's layout cannot hold, by reason."""
    settings: str
    """What the trainer is told, so that it finds them."""
    remarks: tuple[str, ...]
    """What stock trainers learn of these rows beside what they should."""

    @property
    def num_rows(self) -> int:
        return sum(self.files.values())

    @property
    def in_words(self) -> str:
        """The kind."""
        return KINDS[self.kind]


def write_rows(
    path: str | os.PathLike[str],
    rows: Iterable[AnyRow],
    *,
    preset: str = "trl",
    holdout: float = 0.0,
    seed: int = 0,
    runs: Iterable[Trajectory] | None = None,
    sources: Sources | None = None,
) -> WrittenRows:
    """Write rows for a trainer (`rows.presets`: trl, verl, openrlhf, llama-factory, axolotl).

    `rows` are of one kind: `preference_rows(…)`, trajectories (as conversations),
    `judged_sides(…)`, `judged_runs(…)`, `questions(…)`, `turn_credits(…)`, or `TokenRow`s. The
    file's ending says how: .jsonl, .jsonl.gz, .jsonl.zst, .parquet or .arrow; a path with / at its
    end, or a folder that exists and is empty, becomes a data set of Hugging Face's with a card, in
    Parquet.

    Beside the trainer's columns stand `task_id`, depth, gap, returns, counts and `source`, which is
    `sources(run)` for each run that a row shows: to filter rows by and to trace them.

    `holdout` is the share of the tasks whose rows go into a file of their own, `NAME.test.ENDING`
    or the split `test`: whole tasks by what they ask, chosen by `seed` (`rows.holdout`). `runs` are
    all that the rows may be of. With them rows are read once, memory is bounded by one batch, and
    the tasks held out are the same for all rows of these runs; without, the rows are held.

    All is written or nothing. A row that a trainer would misread is left out and counted
    (`WrittenRows.skipped`). Raises `InvalidInput` for an unknown trainer or ending, for a kind that
    the trainer does not read, for rows of two kinds, where no row is left, and for a folder that
    holds something; `MissingDependency` where Parquet or Arrow need pyarrow; `OSError`.
    """
    trainer = preset_of(preset)
    refuse_no_share(holdout)
    if runs is None:
        rows = list(rows)
        runs = [run for row in rows if kind_of(row) for run in runs_of(row)]
    every = [run for run in runs if run.status != "error"]
    pending = iter(rows)
    first = next(pending, None)
    if first is None:
        raise InvalidInput("there are no rows to write")
    kind = kind_of(first)
    if kind is None:
        raise InvalidInput(f"rows[0] is {type(first).__name__}, which is no row")
    layout = trainer.layout(kind)
    held_out = _tasks_held_out(every, holdout, seed)
    is_folder = os.fspath(path).endswith(("/", os.sep)) or Path(path).is_dir()
    if not is_folder:
        trainer.check_ending(Path(path).name)
    contents = Contents(trainer.name, kind, layout, has_tool_calls=_has_tool_calls(every))
    skipped: Counter[str] = Counter()
    remarks = Remarks(kind)
    opened = _dataset if is_folder else _files
    with opened(Path(path), contents, is_split=bool(held_out)) as files:
        shown = shown_rows(chain([first], pending), kind, layout, sources, skipped)
        _write(shown, files, held_out, remarks)
        counts = {file.path: file.num_rows for file in files}
        if not sum(counts.values()):
            reasons = "; ".join(f"{count:,} {reason}" for reason, count in skipped.items())
            raise InvalidInput(f"{trainer.name}: none of the rows can be written: {reasons}")
    settings = _settings(layout, os.fspath(path), is_folder=is_folder)
    if layout.dataset_info is not None and not is_folder:
        entry = {"file_name": Path(path).name, **layout.dataset_info}
        settings += f'; the entry: "w2stree": {json.dumps(entry)}'
    return WrittenRows(kind, counts, dict(skipped), settings, remarks.in_words())


def _settings(layout: Layout, path: str, *, is_folder: bool) -> str:
    """With the folder named, where one was written: TRL's scripts take no file by its name."""
    if is_folder:
        return layout.settings.replace("FOLDER", shlex.quote(path.rstrip("/\\") or path))
    told = "; a path with / at its end writes a FOLDER"
    return layout.settings + told * ("FOLDER" in layout.settings)


class _File:
    def __init__(self, path: Path, write: Write) -> None:
        self.path, self.write, self.num_rows = path, write, 0


def _write(
    rows: Iterable[Shown], files: list[_File], held_out: Container[Task], remarks: Remarks
) -> None:
    train, test = files[0], files[-1]
    for shown in rows:
        remarks.note(shown)
        file = test if held_out and runs_of(shown.row)[0].prompt in held_out else train
        file.write(shown)
        file.num_rows += 1


@contextmanager
def _files(path: Path, contents: Contents, *, is_split: bool) -> Iterator[list[_File]]:
    """The table's files: one, or one to train on and one held out."""
    names = [path, _beside(path)] if is_split else [path]
    with ExitStack() as stack:
        yield [_opened(stack, name, name, contents) for name in names]


@contextmanager
def _dataset(path: Path, contents: Contents, *, is_split: bool) -> Iterator[list[_File]]:
    """The same in a data set's folder, with its card."""
    names = [Path("data") / f"{s}.parquet" for s in (("train", "test") if is_split else ("train",))]
    with making(path) as folder:
        with ExitStack() as stack:
            files = [_opened(stack, folder / name, path / name, contents) for name in names]
            yield files
        describe(folder, contents, {file.path.stem: file.num_rows for file in files})


def _opened(stack: ExitStack, path: Path, final: Path, contents: Contents) -> _File:
    columns = contents.layout.columns(contents.kind)
    file = writing(path, columns, has_tool_calls=contents.has_tool_calls)
    return _File(final, stack.enter_context(file))


def _beside(path: Path) -> Path:
    """rows.test.jsonl.gz of rows.jsonl.gz"""
    ending = max((e for e in ENDINGS if path.name.lower().endswith(e)), key=len, default="")
    stem = path.name[: len(path.name) - len(ending)]
    return path.with_name(f"{stem}.test{path.name[len(stem) :]}")


def _tasks_held_out(runs: list[Trajectory], share: float, seed: int) -> frozenset[Task]:
    if not share:
        return frozenset()
    tasks = list(dict.fromkeys(run.prompt for run in runs))
    chosen = hold_out(tasks, share, seed=seed)
    if not chosen.num_held_out_tasks:
        raise InvalidInput(chosen.in_words())
    return frozenset(t for t, is_out in zip(tasks, chosen.is_held_out, strict=True) if is_out)


def _has_tool_calls(runs: Iterable[Trajectory]) -> bool:
    return any(step.tool_calls for run in runs for step in run.steps)
