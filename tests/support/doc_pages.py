"""The pages of the documentation as a reader follows them: their blocks, run from top to bottom.

    ```python                a program; `# name.py` in its first line: a file of that name
    ```text     below it     what it prints, with at most a line of words between
    ```console  $ command    run; lines below, up to the next $, are what it writes to stdout
    ```yaml     # name.yaml  a file of that name
    <!-- file: name -->      so is the block below
    <!-- not run: why -->    the block below is not run
    <!-- run last: why -->   the block below is run after the others

What is printed may leave out lines and parts of lines with `...`, as in doctest.
"""

from __future__ import annotations

import doctest
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from w2stree.cli.app import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_NOTE = re.compile(r"<!-- (file|not run|run last): (.+?) -->", re.DOTALL)
_NAMED = re.compile(r"# ([\w.-]+\.(?:py|yaml))\n")
_NEAR = 4  # lines from the end of a program to what it prints
_PORT = "8765"  # of the pages' server; a test has one of its own


@dataclass(frozen=True, slots=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    note: tuple[str, str] | None
    """Of the comment above it: what it says, and of what."""
    is_indented: bool

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def end(self) -> int:
        return self.line + self.text.count("\n") + 1

    @property
    def file_name(self) -> str | None:
        if self.note and self.note[0] == "file":
            return self.note[1]
        named = _NAMED.match(self.text)
        return named[1] if named else None

    def says(self, what: str) -> str | None:
        return self.note[1] if self.note and self.note[0] == what else None


def all_pages() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    return list(_blocks(page, tokens))


def _blocks(page: Path, tokens: list[Token]) -> Iterator[Block]:
    before = None
    for token in tokens:
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            noted = _NOTE.search(before.content) if before and before.type == "html_block" else None
            yield Block(
                page,
                token.map[0] + 1,
                token.info.strip(),
                token.content,
                (noted[1], " ".join(noted[2].split())) if noted else None,
                token.type == "code_block",
            )
        before = token


class Reader:
    """Follows a page in the working directory; Python's names last from block to block."""

    def __init__(self, port: int) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.port = str(port)
        self.printed, self.end = "", 0
        self.started = ExitStack()

    def follow(self, block: Block) -> None:
        text = block.text.replace(_PORT, self.port)
        if block.file_name:
            with Path(block.file_name).open("a", encoding="utf-8") as file:
                file.write(text)
            if block.language == "python":
                compile(text, block.place, "exec")
        elif block.language == "python":
            with redirect_stdout(io.StringIO()) as out:
                exec(compile("\n" * block.line + text, str(block.page), "exec"), self.names)
            self.printed, self.end = out.getvalue(), block.end
        elif block.language == "console":
            for command, shown in commands_of(text):
                told = self.told_by(command)
                if shown is not None:
                    compare(f"{block.place}: {command}", shown, told)
        elif block.language == "text" and self.printed and block.line - self.end <= _NEAR:
            compare(block.place, text, self.printed)

    def told_by(self, command: str) -> str:
        """What a command writes to stdout; it has to succeed. One with & runs until `close`."""
        program, *arguments = shlex.split(command)
        if program == "w2stree":
            with redirect_stdout(io.StringIO()) as out:
                status = main(arguments)
            assert status == 0, f"{command} ends with {status}"
            return out.getvalue()
        assert program == "python", f"no test runs {command}"
        if arguments[-1] == "&":
            self.started.enter_context(_running([sys.executable, *arguments[:-1]]))
            return ""
        ran = subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, check=True
        )
        return ran.stdout

    def close(self) -> None:
        self.started.close()


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    """A server, from its first line on."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            yield
        finally:
            process.kill()


def commands_of(text: str) -> Iterator[tuple[str, str | None]]:
    """Commands, and what each writes; None where only commands are shown."""
    if not re.search(r"^\$ ", text, re.MULTILINE):
        yield from ((line, None) for line in text.splitlines())
        return
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = piece.partition("\n")
        yield command, shown


def compare(place: str, shown: str, told: str) -> None:
    checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS
    shown, told = (_without_ends(text) for text in (shown, told))
    if not checker.check_output(shown, told, flags):
        example = doctest.Example("", shown)
        raise AssertionError(f"{place}\n{checker.output_difference(example, told, flags)}")


def _without_ends(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())
