"""Every block of code of the documentation runs, or says why it does not.

A page is followed as a reader would: `support/doc_pages.py` has the rules.
"""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from support.doc_pages import ROOT, Block, Reader, all_pages, blocks_of, commands_of

from w2stree import write_trajectories
from w2stree.cli.app import app

RUN_ELSEWHERE = {
    "README.md": (2, "tests/test_readme.py"),
    "docs/lint.md": (1, "tests/lint/test_lint_docs.py"),
    "docs/scale.md": (5, "tests/scale/test_recipes.py"),
    "docs/rows.md": (2, "tests/rows/test_row_commands_docs.py"),
    "docs/tutorial_logs.md": (None, "tests/test_tutorial_logs.py"),
}
"""Pages whose blocks have a test of their own, and how many it runs; None: all that it finds."""

NOT_RUN = {
    ("docs/training.md", "from trl import DPOConfig"): (
        "its DPOConfig, as it stands, asks for a GPU that computes in bfloat16"
    ),
}
"""Blocks of pages that are written elsewhere, by their first lines, and why they are not run."""

LANGUAGES = {"python", "console", "text", "yaml", "json", "toml", "bash", ""}
"""What a block may be in; those in braces are the site's own directives."""

BLOCKS = {page: blocks_of(page) for page in all_pages()}


def every_block() -> list[Block]:
    return [block for blocks in BLOCKS.values() for block in blocks]


def commands_in(block: Block) -> list[str]:
    """The package's own commands in a block."""
    if block.language == "text":  # a picture, or what a program wrote
        return []
    commands = (command for command, _ in commands_of(block.text.replace("\\\n", " ")))
    return [command for command in commands if command.startswith("w2stree ")]


def is_code(block: Block) -> bool:
    return block.language in ("python", "console")


def place_of(block: Block) -> str:
    return str(block.page.relative_to(ROOT))


def runs(block: Block) -> bool:
    return (
        is_code(block)
        and block.says("not run") is None
        and place_of(block) not in RUN_ELSEWHERE
        and (place_of(block), block.text.partition("\n")[0]) not in NOT_RUN
    )


def is_last(block: Block) -> bool:
    return block.says("run last") is not None


FOLLOWED = [page for page, blocks in BLOCKS.items() if any(map(runs, blocks))]


TRAINING = {"tutorial_method", "training"}


def as_test(page: Path) -> Any:
    return pytest.param(
        page, id=page.stem, marks=[pytest.mark.train] if page.stem in TRAINING else []
    )


@pytest.mark.parametrize("page", [as_test(page) for page in FOLLOWED])
def test_what_a_page_shows_runs_and_prints_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    known = set(sys.modules)
    reader = Reader(free_port())
    if page.stem == "training":
        reader.names |= a_training_of_ones_own()
    try:
        for block in sorted(BLOCKS[page], key=is_last):
            if runs(block) or block.file_name or block.language == "text":
                reader.follow(block)
    finally:
        reader.close()
        for name in set(sys.modules) - known:
            if (tmp_path / f"{name}.py").exists():
                del sys.modules[name]


def a_training_of_ones_own() -> dict[str, Any]:
    """What docs/training.md leaves to the reader."""
    from support.tiny_models import BAD, GOOD, WORSE, tiny_tokenizer

    write_trajectories("runs.jsonl", [GOOD, BAD, WORSE])
    return {"tokenizer": tiny_tokenizer()}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port: int = found.getsockname()[1]
        return port


def test_what_is_not_run_says_why() -> None:
    for block in every_block():
        told = block.says("not run")
        assert told is None or len(told.split()) >= 4, f"{block.place}: why is it not run?"
    for page, first in NOT_RUN:
        found = [b for b in BLOCKS[ROOT / page] if b.text.startswith(f"{first}\n")]
        assert len(found) == 1, (page, first)


@pytest.mark.parametrize("page", RUN_ELSEWHERE)
def test_a_test_of_its_own_runs_all_blocks_of_a_page(page: str) -> None:
    """A block that comes to such a page is run there too, and then counted here."""
    number, test = RUN_ELSEWHERE[page]
    assert number in (None, sum(map(is_code, BLOCKS[ROOT / page])))
    assert (ROOT / page).name in (ROOT / test).read_text(encoding="utf-8")


def test_a_block_says_what_it_is_in() -> None:
    """A language that nobody runs would be code that nobody checks."""
    for block in every_block():
        assert block.language in LANGUAGES or block.language.startswith("{"), block.place


def test_a_page_that_says_what_is_not_so_is_found() -> None:
    reader, page = Reader(0), ROOT / "docs" / "none.md"
    reader.follow(Block(page, 1, "python", "print('so')\n", None, False))
    with pytest.raises(AssertionError, match=r"docs/none\.md:4\nExpected:\n    not so"):
        reader.follow(Block(page, 4, "text", "not so\n", None, False))
    with pytest.raises(AssertionError, match=r"w2stree tree nothing\.jsonl ends with 2"):
        reader.follow(Block(page, 7, "console", "$ w2stree tree nothing.jsonl\n", None, False))


def test_json_is_json() -> None:
    shown = [block for block in every_block() if block.language == "json"]
    assert shown
    for block in shown:
        for line in block.text.splitlines():
            json.loads(line)


def test_what_is_run_of_the_repository_is_there() -> None:
    """Targets of make, programs of bench, tests: commands that take hours are still looked up."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in every_block():
        for target in re.findall(r"^make ([\w-]+)", block.text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (block.place, target)
        for module in re.findall(r"python -m (bench[\w.]*)", block.text):
            path = ROOT.joinpath(*module.split("."))
            found = path.with_suffix(".py"), path / "__main__.py"
            assert any(file.is_file() for file in found), (block.place, module)
        for path in re.findall(r"\b(?:tests|bench|examples)/[\w/]+\.\w+", block.text):
            assert (ROOT / path).is_file(), (block.place, path)


@pytest.mark.parametrize(
    "block",
    [b for b in every_block() if b.page.stem != "cli" and commands_in(b)],
    ids=lambda b: b.place,
)
def test_commands_are_understood(block: Block) -> None:
    """Those of blocks that are not run, and of examples: each option is one that there is."""
    for line in commands_in(block):
        words = shlex.split(line.partition(" | ")[0], comments=True)[1:]
        command, path = typer.main.get_command(app), []
        while words and (inner := getattr(command, "commands", {}).get(words[0])):
            command, path = inner, [*path, words.pop(0)]
        does = not getattr(command, "commands", {}) or command.invoke_without_command
        assert path and does, (block.place, words)
        context = command.make_context(" ".join(path), words)  # raises for what it does not know
        assert not context.args, block.place
