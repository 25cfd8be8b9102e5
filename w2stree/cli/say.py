"""What a command prints: nothing in it is obeyed by the terminal, wherever it comes from."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

import typer

from w2stree.shorten import visible

_NOBODY_READS = 141  # a shell's word for SIGPIPE, which Windows does not know


def say(text: object, *, raw: bool = False) -> None:
    """A result, on standard output; line breaks stay, other control characters are shown, but for
    `raw`.

    Every command prints by this and by `warn`: task ids, file names, messages and reports hold
    what games, models and files say. Where nobody reads on (`| head`), the command ends without a
    word, with the status of a program that the system ends for it.
    """
    try:
        print(text if raw else visible(str(text), keep_lines=True), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        raise typer.Exit(_NOBODY_READS) from None


def terminal_width() -> int | None:
    """Columns of the terminal that results go to; None where they go to a file or a pipe, whose
    lines are whole."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def counted(count: int, what: str) -> str:
    """1 task, 2,002 tasks"""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def balance(total: str, used: str, skipped: Mapping[str, int]) -> str:
    """2,002 runs read = 1,990 used + 12 skipped (12 ended in an error); `skipped` is by reason,
    without those that are 0."""
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
    account = f"{total} = {used} + {sum(skipped.values()):,} skipped"
    return f"{account} ({reasons})" if reasons else account


def warn(text: object) -> None:
    """The same on standard error, for what is no result."""
    print(visible(str(text), keep_lines=True), file=sys.stderr, flush=True)


def is_first() -> bool:
    """Whether this process is the only one, or of a launcher's the one that says and writes."""
    return os.environ.get("RANK", "0") == "0"


def say_first(text: object) -> None:
    if is_first():
        say(text)
