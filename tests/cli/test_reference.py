"""docs/cli.md is what the commands say, and their examples are commands that there are."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from w2stree.cli.app import app
from w2stree.cli.examples import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]


def commands(command: Any, words: tuple[str, ...] = ()) -> dict[str, Any]:
    inner = getattr(command, "commands", {})
    found = {" ".join(words): command} if words else {}
    for name, below in inner.items():
        found |= commands(below, (*words, name))
    return found


COMMANDS = commands(typer.main.get_command(app))


def test_the_page_is_what_the_commands_say() -> None:
    checked = subprocess.run(
        [sys.executable, ROOT / ".ci" / "cli-docs", "--check"], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr


def test_every_command_has_examples_in_its_help() -> None:
    """In its text, or among `EXAMPLES`."""
    assert set(EXAMPLES) <= set(COMMANDS)
    for name, command in COMMANDS.items():
        if not getattr(command, "commands", None):
            told = f"{command.help}\n{command.epilog}"
            assert "Example" in told and f"w2stree {name} " in f"{told} ", name


@pytest.mark.parametrize(
    ("name", "line"), [(n, line) for n, examples in EXAMPLES.items() for line, _ in examples]
)
def test_every_example_is_understood(name: str, line: str) -> None:
    words = shlex.split(line.rpartition("| ")[2])
    path = ["w2stree", *name.split()]
    assert words[: len(path)] == path
    arguments = words[len(path) :]
    context = COMMANDS[name].make_context(name, arguments)  # raises for what it does not know
    assert not context.args
