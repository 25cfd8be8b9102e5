"""JSON lines, a record a line: each parsed, or said what is wrong with it and left out.

{"task_id": "a", …}⏎     parsed
{"task_id": "b", "st⏎    torn: an interrupted write, and somebody went on after it
{⏎  "task_id": "c",⏎ …   one record over several lines, which are one that cannot be read
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TypeVar

from w2stree.errors import InvalidInput
from w2stree.trajectories.json_text import is_cut, num_lines_of_first
from w2stree.trajectories.lines import Skip

T = TypeVar("T")

_LOOKED_AT = 10_000  # lines that one record may be spread over, to be told so
_IN_VAIN = 20_000  # lines of a file: where so many did not end a record, lines are torn, not spread
_ENOUGH_AHEAD = 8  # lines: a torn record may seem to go on in the next one, and not in all of these


def begins_array(line: bytes) -> bool:
    """Whether a text that begins so is an array of records: `[2026-11-27] INFO …` is none."""
    begin = line.removeprefix(BOM_UTF8).lstrip()
    return begin.startswith(b"[") and begin[1:].lstrip()[:1] in (b"", b"{", b"]")


class LinesAhead:
    """The lines of a file that hold something, of which one may look at the next ones."""

    def __init__(self, lines: Iterator[tuple[int, bytes]]) -> None:
        self._lines = ((n, line) for n, line in lines if line.removeprefix(BOM_UTF8).strip())
        self._seen: deque[tuple[int, bytes]] = deque()
        self._num_in_vain = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        return self

    def __next__(self) -> tuple[int, bytes]:
        return self._seen.popleft() if self._seen else next(self._lines)

    def first(self) -> tuple[int, bytes] | None:
        """The next line, which stays."""
        return next(self.ahead(), None)

    def num_ahead(self, most: int) -> int:
        """How many lines there are yet, looking at so many."""
        return sum(1 for _ in islice(self.ahead(), most))

    def hold_records(self) -> bool:
        """Whether a record begins in the next line, or in one soon after what is none, as a program
        says things before it writes them; of an array none does."""
        begins = (
            line.removeprefix(BOM_UTF8).lstrip() for _, line in islice(self.ahead(), _ENOUGH_AHEAD)
        )
        first = next(begins, b"")
        if first.startswith(b"{"):
            return True
        return not begins_array(first) and any(begin.startswith(b"{") for begin in begins)

    def is_first_spread(self) -> bool:
        """Whether the next line is the beginning of a record, and those after it go on with it: the
        text is no JSON lines."""
        text = b""
        for num_lines, (_, line) in enumerate(self.ahead(), 1):
            text += line
            if not is_cut(text):
                return num_lines_of_first(text) > 1
            if num_lines == _ENOUGH_AHEAD:
                break
        return text.count(b"\n") > 1 or text.endswith(b"\n")

    def ahead(self, most: int | None = None) -> Iterator[tuple[int, bytes]]:
        """The next lines, or so many of them, which stay."""
        seen = list(islice(self._seen, most))
        yield from seen
        for line in islice(self._lines, None if most is None else most - len(seen)):
            self._seen.append(line)
            yield line

    def parsed(
        self,
        name: str,
        parse: Callable[[bytes, str], T],
        skip: Skip | None,
        *,
        helps: str = "leave it out (on_error=skip, --on-error skip)",
    ) -> Iterator[tuple[str, T]]:
        """What `parse` makes of each line and its place, `name:3`; `helps` against one that was cut
        and has others after it.

        Raises what `parse` raises, beginning with the place and saying what to do about a line
        that was cut; with `skip` the line is left out, and of a record over several lines all.
        """
        for number, line in self:
            where = f"{name}:{number}"
            try:
                value = parse(line, where)
            except InvalidInput as error:
                told = self._of_cut(line, str(error), where, helps) if is_cut(line) else str(error)
                if skip is None:
                    raise InvalidInput(told) from None
                skip(told)
                continue
            yield where, value

    def _of_cut(self, line: bytes, reason: str, where: str, helps: str) -> str:
        """What to do about the beginning of a record; the rest of one over several lines is passed
        over."""
        if not line.endswith(b"\n"):
            return f"{where}: torn by an interrupted write; delete this line"
        rest = self._rest_of(line)
        text = b"".join([line, *rest])
        if spread := num_lines_of_first(text):
            for _ in range(spread - 1):
                next(self)
            return (
                f"{where}: one JSON object spread over {spread} lines; expected one a line, as "
                "jq -c . FILE > NEW.jsonl writes them"
            )
        is_to_end = self.num_ahead(len(rest) + 1) == len(rest)
        if rest and is_to_end and is_cut(text):  # several lines, and then the file ends
            return reason
        return (
            f"{reason}; the line is the beginning of a record and no more, as an interrupted write "
            f"leaves it: {helps}"
        )

    def _rest_of(self, line: bytes) -> list[bytes]:
        """The next lines, as long as they go on with it, and perhaps some more.

        A line that was cut before a value seems to go on in all that follow, and so do the next
        ones: of a file that has been looked through in vain few lines are looked at.
        """
        pieces = [line]
        is_whole = False
        most = _LOOKED_AT if self._num_in_vain < _IN_VAIN else _ENOUGH_AHEAD
        for _, following in self.ahead(most):
            pieces.append(following)
            is_time = len(pieces).bit_count() == 1  # 2, 4, 8, …: looked at twice at most
            if is_time and not is_cut(text := b"".join(pieces)):
                is_whole = num_lines_of_first(text) > 0
                break
        if not is_whole:
            self._num_in_vain += len(pieces)
        return pieces[1:]
