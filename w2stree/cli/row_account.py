"""What rows are written to, and where all that was looked at went.

1,301 comparisons = 1,223 rows + 78 skipped (60 undecided, 18 that read alike)
2,002 runs read = 1,990 used + 12 skipped (12 ended in an error)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from w2stree.cli.inputs import Runs
from w2stree.cli.say import balance, counted, say, warn
from w2stree.errors import InvalidInput
from w2stree.shorten import visible

if TYPE_CHECKING:
    from w2stree.rows.columns import AnyRow
    from w2stree.rows.judged import JudgedRows
    from w2stree.rows.rows import PreferenceRow, PreferenceRows
    from w2stree.rows.writing import WrittenRows

Row = TypeVar("Row")


class Target(NamedTuple):
    """Where rows go, and how."""

    output: str
    trainer: str
    holdout: float
    seed: int
    as_json: bool


class RowAccount:
    """What gave no row, by reason, counted as rows go by. `unit`: what a row is made of."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self.skipped: Counter[str] = Counter()

    def of_preferences(self, blocks: Iterable[PreferenceRows]) -> Iterator[PreferenceRow]:
        for block in blocks:
            self.skipped.update(block.left_out)
            yield from block

    def of_found(self, rows: Iterable[Row | str]) -> Iterator[Row]:
        """Those that there are; of the others the reason is given instead."""
        for row in rows:
            if isinstance(row, str):
                self.skipped[row] += 1
            else:
                yield row

    def count_judged(self, judged: JudgedRows) -> None:
        """Sides are counted from here on, of the comparisons that were decided."""
        self._unit = "side"
        self.skipped.clear()
        self.skipped["undecided"] += judged.num_undecided
        self.skipped["of two histories"] += judged.num_two_histories * 2

    def reasons(self) -> str:
        """Why there is none, and what may help."""
        told = ", ".join(f"{count:,} {reason}" for reason, count in self.skipped.items() if count)
        return f"{self._unit}s that gave none: {told or 'all'}{self._fix()}"

    def _fix(self) -> str:
        from w2stree.rows.rows import NO_WORDS

        return "; --render-actions makes each the turn 'Action: …'" * bool(self.skipped[NO_WORDS])

    def in_words(self, written: WrittenRows) -> str:
        """Where all went, and what may help."""
        skipped = {reason: count for reason, count in self.all_skipped(written).items() if count}
        total = written.num_rows + sum(skipped.values())
        account = balance(counted(total, self._unit), f"{written.num_rows:,} rows", skipped)
        return account + self._fix()

    def all_skipped(self, written: WrittenRows) -> Counter[str]:
        """By the trainer's layout too."""
        return self.skipped + Counter(written.skipped)


def write(
    target: Target,
    rows: Iterable[AnyRow],
    account: RowAccount,
    *,
    used: Runs,
    every: Runs,
    told: str,
) -> int:
    """Write the rows and say what became of everything. `used` are the runs that rows may show,
    `every` those that tasks to hold out are chosen of; `told` begins what is said."""
    from w2stree.rows.writing import write_rows

    pending = iter(rows)
    if (first := next(pending, None)) is None:
        raise InvalidInput(f"{used.where}: no rows: {account.reasons()}{used.left_out()}")
    places = {id(run): place for run, place in zip(used.trajectories, used.places, strict=True)}
    written = write_rows(
        target.output,
        chain([first], pending),
        preset=target.trainer,
        holdout=target.holdout,
        seed=target.seed,
        runs=every.trajectories,
        sources=lambda run: places[id(run)],
    )
    if target.as_json:
        say(json.dumps(_record(target, written, account, used)))
        return 0
    say(f"{told}; {written.in_words}, for {target.trainer}")
    for file, num_rows in written.files.items():
        say(f"{visible(str(file))}: {num_rows:,} rows")
    say(f"use: {written.settings}")
    for line in used.how_read():
        warn(line)
    for remark in written.remarks:
        warn(f"w2stree: warning: {remark}")
    say(account.in_words(written))
    say(used.account())
    return 0


def _record(
    target: Target, written: WrittenRows, account: RowAccount, used: Runs
) -> dict[str, object]:
    return {
        "kind": written.kind,
        "for": target.trainer,
        "files": {str(file): num_rows for file, num_rows in written.files.items()},
        "num_rows": written.num_rows,
        "skipped": {r: n for r, n in account.all_skipped(written).items() if n},
        "remarks": list(written.remarks),
        "settings": written.settings,
        "num_runs": used.num_read,
        "num_used_runs": len(used.trajectories),
        "skipped_runs": used.skipped,
    }
